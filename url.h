/*
 * url.h - the base URL of a server, as people write it into a setting: what is taken, and no more.
 */
#ifndef URL_H
#define URL_H

#include <stdbool.h>
#include <stdint.h>

#define URL_HOST_SIZE 255 /* an RFC 1123 name, a dot at its end, and the NUL */

struct url {
	bool        tls;
	char        host[URL_HOST_SIZE]; /* without brackets */
	uint32_t    port;
	const char *path; /* borrowed from the text; "" or starts with '/' */
};

/*
 * Takes `http(s)://host[:port]` and whatever stands behind it as its path, which is not looked at.
 * False: it is none; @ret is then unusable.
 */
bool url_parse(const char *s, struct url *ret);

/* A name, in upper or lower case, with a dot at its end or not; an IPv4 or an IPv6 address without
 * brackets. */
bool url_is_host(const char *s);

bool url_is_port(const char *s); /* 1..65535 */

/* Neither an address nor `localhost`, which is one for everybody: it has to be looked up. */
bool url_host_is_name(const char *host);

bool url_is_loopback(const char *host);

#endif
