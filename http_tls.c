#include "http_tls.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "log.h"
#include "util.h"

#define BUNDLE_MAX ((size_t)1 << 20)
#define BEGIN      "-----BEGIN "

/* ---- The CA file ---- */

struct bundle {
	unsigned usable;
	unsigned blocks;
	unsigned bad; /* the first that cannot be read; 0 = none */
};

static bool add_certificate(X509_STORE *store, const unsigned char *der, long size)
{
	X509 *cert = d2i_X509(NULL, &der, size);
	bool  ok = cert && X509_STORE_add_cert(store, cert) == 1;

	X509_free(cert);
	return ok;
}

/* Takes the block at @p; returns where to look for the next: where this is none, behind its BEGIN.
 */
static const char *take_block(const char *p, X509_STORE *store, struct bundle *b)
{
	BIO           *in = BIO_new_mem_buf(p, -1);
	char          *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	long           size = 0;
	bool           ok = in && PEM_read_bio(in, &name, &header, &der, &size) == 1 &&
		  add_certificate(store, der, size);

	b->blocks++;
	b->usable += ok;
	if (!ok && !b->bad)
		b->bad = b->blocks;
	p += ok ? strlen(p) - BIO_ctrl_pending(in) : sizeof(BEGIN) - 1;
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	BIO_free(in);
	return p;
}

static int load(struct tls *t, X509_STORE *store, const char *file)
{
	struct buf    text = { .max = BUNDLE_MAX };
	struct err    err = { 0 };
	struct bundle b = { 0 };
	const char   *p = read_file(file, &text, &err) == 0 ? text.data : NULL;

	while (p && (p = strstr(p, BEGIN)))
		p = take_block(p, store, &b);
	ERR_clear_error();
	if (b.usable && b.bad && t->named != text.len) {
		t->named = text.len;
		log_warn("a block of the CA file cannot be read, and is skipped", LS("file", file),
			 LI("block", b.bad), LI("certificates", b.usable));
	}
	buf_fini(&text);
	if (!b.usable && err.code)
		(void)snprintf(t->words, sizeof(t->words), "%.180s", err.msg);
	else if (!b.usable)
		(void)snprintf(t->words, sizeof(t->words), "%s: no usable certificate in it", file);
	return b.usable ? 0 : -1;
}

/* ---- The chain ---- */

static bool has_signed(X509 *issuer, X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);

	ERR_set_mark();
	bool ok = key && X509_verify(cert, key) == 1;
	ERR_pop_to_mark();
	return ok;
}

static bool is_valid_now(const X509 *cert)
{
	return X509_cmp_current_time(X509_get0_notBefore(cert)) < 0 &&
	       X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

/* Of several CAs of one subject, the one that has signed; one that is valid, if there is a choice.
 */
static int get_issuer(X509 **ret, X509_STORE_CTX *ctx, X509 *cert)
{
	STACK_OF(X509) *found = X509_STORE_CTX_get1_certs(ctx, X509_get_issuer_name(cert));
	X509 *signer = NULL;

	for (int i = 0; sk_X509_num(found) > 1 && i < sk_X509_num(found); i++) {
		X509 *candidate = sk_X509_value(found, i);
		if (has_signed(candidate, cert) && (!signer || is_valid_now(candidate)))
			signer = candidate;
	}
	int r = signer ? X509_up_ref(signer) : X509_STORE_CTX_get1_issuer(ret, ctx, cert);
	if (signer)
		*ret = signer;
	sk_X509_pop_free(found, X509_free);
	return r;
}

/* ---- Words ---- */

static void add_name(char *list, size_t size, const char *name, int n)
{
	size_t len = strlen(list);

	(void)snprintf(list + len, size - len, "%s%.*s", len ? ", " : "", n, name);
}

static void list_names(char *list, size_t size, const X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	list[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME      *n = sk_GENERAL_NAME_value(names, i);
		const ASN1_OCTET_STRING *ip = n->type == GEN_IPADD ? n->d.iPAddress : NULL;
		char                     text[INET6_ADDRSTRLEN];
		if (n->type == GEN_DNS)
			add_name(list, size, (const char *)ASN1_STRING_get0_data(n->d.dNSName),
				 ASN1_STRING_length(n->d.dNSName));
		else if (ip && inet_ntop(ASN1_STRING_length(ip) == 4 ? AF_INET : AF_INET6,
					 ASN1_STRING_get0_data(ip), text, sizeof(text)))
			add_name(list, size, text, (int)sizeof(text));
	}
	GENERAL_NAMES_free(names);
}

static void describe(struct tls *t, X509_STORE_CTX *ctx, const X509 *cert)
{
	int              error = X509_STORE_CTX_get_error(ctx);
	const ASN1_TIME *at = error == X509_V_ERR_CERT_HAS_EXPIRED     ? X509_get0_notAfter(cert)
			      : error == X509_V_ERR_CERT_NOT_YET_VALID ? X509_get0_notBefore(cert)
								       : NULL;
	char             subject[64], issuer[64], when[32] = "";
	struct tm        tm;

	(void)X509_NAME_oneline(X509_get_subject_name(cert), subject, sizeof(subject));
	(void)X509_NAME_oneline(X509_get_issuer_name(cert), issuer, sizeof(issuer));
	if (at && ASN1_TIME_to_tm(at, &tm) == 1)
		(void)strftime(when, sizeof(when), " (%Y-%m-%dT%H:%M:%SZ)", &tm);
	(void)snprintf(t->words, sizeof(t->words),
		       "SSL certificate problem: %.70s%s: subject %s, issuer %s",
		       X509_verify_cert_error_string(error), when, subject, issuer);
}

static int on_verified(int ok, X509_STORE_CTX *ctx)
{
	const SSL  *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const X509 *cert = X509_STORE_CTX_get_current_cert(ctx);

	if (!ok && cert)
		describe(t, ctx, cert);
	else if (cert && X509_STORE_CTX_get_error_depth(ctx) == 0)
		list_names(t->offered, sizeof(t->offered), cert);
	return ok;
}

CURLcode tls_trust(struct tls *t, void *ssl_ctx, const char *ca_file)
{
	X509_STORE *store = X509_STORE_new();

	t->words[0] = t->offered[0] = '\0';
	if (!store)
		return CURLE_OUT_OF_MEMORY;
	SSL_CTX_set_cert_store(ssl_ctx, store); /* owns it; what was there before is gone */
	if (!ca_file || load(t, store, ca_file) < 0)
		return CURLE_SSL_CACERT_BADFILE;
	/* As libcurl has it, and Go: whoever is in the file is trusted, whether it is a root or
	 * not. */
	(void)X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
	X509_STORE_set_get_issuer(store, get_issuer);
	SSL_CTX_set_app_data(ssl_ctx, t);
	SSL_CTX_set_verify(ssl_ctx, SSL_VERIFY_PEER, on_verified);
	return CURLE_OK;
}

static const char *reason_words(unsigned long code)
{
	int reason = ERR_GET_REASON(code);

	if (ERR_GET_LIB(code) != ERR_LIB_SSL)
		return "";
	if (reason > SSL_AD_REASON_OFFSET)
		return SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET);
	switch (reason) {
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
	case SSL_R_HTTP_REQUEST: return "wrong version number: what answers is not TLS";
	case SSL_R_UNSUPPORTED_PROTOCOL: return "unsupported protocol: older than TLS 1.2";
	case SSL_R_UNEXPECTED_EOF_WHILE_READING: return "the server hung up";
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_WRONG_CIPHER_RETURNED:
	case SSL_R_UNKNOWN_CIPHER_RETURNED: return "no cipher in common";
	case SSL_R_DH_KEY_TOO_SMALL: return "its key is too small";
	default: return "a message that breaks the protocol";
	}
}

void tls_explain(const struct tls *t, char *detail, size_t size)
{
	const char *number = strstr(detail, "error:");
	size_t      len = strlen(detail);

	if (t->words[0])
		(void)snprintf(detail, size, "%s", t->words);
	else if (t->offered[0] && strstr(detail, "subject name"))
		(void)snprintf(detail + len, size - len, "; it is for %s", t->offered);
	else if (number && strstr(number, "lib("))
		(void)snprintf(detail + len, size - len, " (%s)",
			       reason_words(strtoul(number + 6, NULL, 16)));
}
