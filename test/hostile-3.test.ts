/** A quarter of the codecs among hostile bytes: see `support/hostile.ts`. */
import { hostile } from './support/hostile.ts';

hostile(3);
