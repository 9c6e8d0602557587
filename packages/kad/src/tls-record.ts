/** Bytes in a TLS record at most (RFC 8446, section 5.1). */
export const TLS_RECORD = 16 * 1024;
