
/* What programs of today call, and LibreSSL 2.0 has under other names or not at all: for the tests that build them with it. */
/* Behind the end of ssl.h, once all of it is known: headers that it includes include it too. */
#if defined(SSL_R_X509_VERIFICATION_SETUP_PROBLEMS) && !defined(LAMINA_LATER_H)
#define LAMINA_LATER_H

#include <openssl/ec.h>
#include <openssl/x509_vfy.h>

#define TLS_client_method SSLv23_client_method
#define TLS_server_method SSLv23_server_method
#define X509_get0_notBefore(x) X509_get_notBefore(x)
#define X509_get0_notAfter(x) X509_get_notAfter(x)

/* Versions from SSL 3 on are one behind the other; 0 is no bound. */
static inline int SSL_CTX_set_min_proto_version(SSL_CTX *context, int version)
{
	long off = 0;
	if (version > SSL3_VERSION)
		off |= SSL_OP_NO_SSLv3;
	if (version > TLS1_VERSION)
		off |= SSL_OP_NO_TLSv1;
	if (version > TLS1_1_VERSION)
		off |= SSL_OP_NO_TLSv1_1;
	SSL_CTX_set_options(context, off);
	return version <= TLS1_2_VERSION;
}

static inline int SSL_CTX_set_max_proto_version(SSL_CTX *context, int version)
{
	long off = 0;
	if (version && version < TLS1_2_VERSION)
		off |= SSL_OP_NO_TLSv1_2;
	if (version && version < TLS1_1_VERSION)
		off |= SSL_OP_NO_TLSv1_1;
	SSL_CTX_set_options(context, off);
	return 1;
}

/* One curve, P-256, which everybody has. */
static inline int SSL_CTX_set_ecdh_auto(SSL_CTX *context, int on)
{
	EC_KEY *key = on ? EC_KEY_new_by_curve_name(NID_X9_62_prime256v1) : NULL;
	int done = !on || (key && SSL_CTX_set_tmp_ecdh(context, key));
	EC_KEY_free(key);
	return done;
}

/* Later ones choose a curve by themselves. */
static inline SSL_CTX *new_context_with_curve(const SSL_METHOD *method)
{
	SSL_CTX *context = SSL_CTX_new(method);
	if (context)
		SSL_CTX_set_ecdh_auto(context, 1);
	return context;
}
#define SSL_CTX_new new_context_with_curve

static inline int SSL_CTX_set1_curves_list(SSL_CTX *context, const char *list)
{
	(void)context;
	(void)list;
	return 0;
}

/* No protocol is negotiated: HTTP/1.1 it is. */
static inline int SSL_CTX_set_alpn_protos(SSL_CTX *context, const unsigned char *names, unsigned int length)
{
	(void)context;
	(void)names;
	(void)length;
	return 0;
}

static inline void SSL_get0_alpn_selected(const SSL *connection, const unsigned char **name, unsigned int *length)
{
	(void)connection;
	*name = NULL;
	*length = 0;
}

/* Who frees a store frees it here, whoever else has it: nobody may keep one. */
static inline int X509_STORE_up_ref(X509_STORE *store)
{
	(void)store;
	return 0;
}

#endif
