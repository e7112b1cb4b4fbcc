#include "url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "util.h"

static bool is_v6(const char *s)
{
	struct in6_addr addr;

	return inet_pton(AF_INET6, s, &addr) == 1;
}

static bool is_host_name(const char *s)
{
	char   text[URL_HOST_SIZE];
	size_t n = strlen(s);

	if (copy_str(text, sizeof(text), s) < 0)
		return false;
	for (char *p = text; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (n && text[n - 1] == '.')
		text[n - 1] = '\0'; /* it tells the resolver to look nowhere else */
	return is_rfc1123_name(text, sizeof(text) - 2);
}

bool url_is_host(const char *s)
{
	return strchr(s, ':') ? is_v6(s) : is_host_name(s);
}

bool url_is_port(const char *s)
{
	uint32_t port;

	return strlen(s) < 8 && parse_u32(s, 1, 65535, &port) == 0;
}

bool url_host_is_name(const char *host)
{
	struct in_addr v4;

	return !is_v6(host) && inet_pton(AF_INET, host, &v4) != 1 &&
	       strcasecmp(host, "localhost") != 0;
}

bool url_is_loopback(const char *host)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;
	return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0;
}

/* Copies what stands before the first of @ends, and steps over it. */
static bool take_until(const char **p, const char *ends, char *dst, size_t size)
{
	size_t n = strcspn(*p, ends);

	if (n >= size)
		return false;
	memcpy(dst, *p, n);
	dst[n] = '\0';
	*p += n;
	return true;
}

static bool take_scheme(const char **p, bool *ret_tls)
{
	*ret_tls = strncmp(*p, "https://", 8) == 0;
	if (!*ret_tls && strncmp(*p, "http://", 7) != 0)
		return false;
	*p += *ret_tls ? 8 : 7;
	return true;
}

static bool take_host(const char **p, char host[URL_HOST_SIZE])
{
	if (**p != '[')
		return take_until(p, ":/", host, URL_HOST_SIZE) && is_host_name(host);
	++*p;
	return take_until(p, "]", host, URL_HOST_SIZE) && *(*p)++ == ']' && is_v6(host);
}

static bool take_port(const char **p, uint32_t *ret)
{
	char port[8];

	if (**p != ':')
		return true;
	++*p;
	return take_until(p, "/", port, sizeof(port)) && parse_u32(port, 1, 65535, ret) == 0;
}

bool url_parse(const char *s, struct url *ret)
{
	if (!take_scheme(&s, &ret->tls) || !take_host(&s, ret->host))
		return false;
	ret->port = ret->tls ? 443 : 80;
	if (!take_port(&s, &ret->port))
		return false;
	ret->path = s;
	return *s == '\0' || *s == '/';
}
