/*
 * http_tls.h - whom a TLS connection trusts, and why it did not, in words; a part of http.c.
 *
 * OpenSSL takes the first CA of a subject, and fails if that has not signed; the image's knows no
 * words for its errors. Go, in every other client of the cluster, looks for a CA that has signed.
 */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include <curl/curl.h>

struct tls {
	char   words[288];   /* why the last handshake failed; "" = not for a certificate */
	char   offered[160]; /* the names that the last certificate is for */
	size_t named;        /* the size of the file with a bad block that was logged */
};

/* For CURLOPT_SSL_CTX_FUNCTION: trusts @ca_file alone. @t must outlive the connection. */
CURLcode tls_trust(struct tls *t, void *ssl_ctx, const char *ca_file);

/* Makes words of libcurl's @detail of a failed handshake, where it is a number or says too little.
 */
void tls_explain(const struct tls *t, char *detail, size_t size);

#endif
