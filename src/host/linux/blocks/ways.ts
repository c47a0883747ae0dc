/** What is left to try when a way of zeroing or discarding is refused: bits, tried from the cheapest on. */
export const TRY_ZERO_RANGE = 1;
export const TRY_WRITING = 2;
export const TRY_DISCARD = 4;
/** What cannot be discarded stays as it is, and that counts as done. */
export const QUIETLY = 8;
/** Zeros are being written from the slab. */
export const WRITING = 16;
/** No further way is known: the refusal becomes EOPNOTSUPP, whatever the kernel called it. */
export const GIVE_UP = 32;
