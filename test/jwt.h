/* jwt.h - a token with these claims, in the form in which the API server issues them. */
#ifndef JWT_H
#define JWT_H

#include <stdint.h>

#include "../util.h"

static inline void base64url(const char *p, size_t n, struct buf *ret)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-_";

	for (size_t i = 0; i < n; i += 3) {
		uint32_t three = 0;
		size_t   have = n - i < 3 ? n - i : 3;

		for (size_t k = 0; k < 3; k++)
			three = three << 8 | (k < have ? (unsigned char)p[i + k] : 0);
		for (size_t k = 0; k <= have; k++)
			(void)buf_append(ret, &letters[three >> (18 - 6 * k) & 63], 1);
	}
}

static inline void jwt(const char *claims, size_t n, struct buf *ret)
{
	(void)buf_printf(ret, "eyJhbGciOiJSUzI1NiJ9.");
	base64url(claims, n, ret);
	(void)buf_printf(ret, ".c2lnbmF0dXJl");
}

#endif
