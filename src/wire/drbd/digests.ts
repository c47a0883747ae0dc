/** Digest algorithms by the names that the kernel gives them, as far as their length is concerned. */
const DIGEST_LENGTH: Readonly<Record<string, number>> = {
  crc32c: 4,
  crc32: 4,
  md5: 16,
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
};

/** In bytes; 0 for the empty name, undefined for a name that is not known here. */
export const digestLengthOf = (name: string): number | undefined => (name === '' ? 0 : DIGEST_LENGTH[name]);
