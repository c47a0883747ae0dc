/** Errors of Linux as NBD carries them: these few, and EINVAL for all others. */
import { NBD_ERROR } from '../wire/index.ts';

const ERRNO = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EACCES: 13,
  EROFS: 30,
  ENOSPC: 28,
  EFBIG: 27,
  EDQUOT: 122,
  EOPNOTSUPP: 95,
  ESHUTDOWN: 108,
  ENODATA: 61,
  EREMOTEIO: 121,
  ETIMEDOUT: 110,
  ENOLINK: 67,
  EOVERFLOW: 75,
} as const;

/** `result`: 0 or a negative errno. */
export function nbdError(result: number): number {
  switch (-result) {
    case 0:
      return NBD_ERROR.none;
    case ERRNO.EPERM:
    case ERRNO.EACCES:
    case ERRNO.EROFS:
      return NBD_ERROR.EPERM;
    // What a disk says when it fails.
    case ERRNO.EIO:
    case ERRNO.ENODATA:
    case ERRNO.EREMOTEIO:
    case ERRNO.ETIMEDOUT:
    case ERRNO.ENOLINK:
      return NBD_ERROR.EIO;
    case ERRNO.ENOMEM:
      return NBD_ERROR.ENOMEM;
    case ERRNO.ENOSPC:
    case ERRNO.EFBIG:
    case ERRNO.EDQUOT:
      return NBD_ERROR.ENOSPC;
    case ERRNO.EOVERFLOW:
      return NBD_ERROR.EOVERFLOW;
    case ERRNO.EOPNOTSUPP:
      return NBD_ERROR.ENOTSUP;
    case ERRNO.ESHUTDOWN:
      return NBD_ERROR.ESHUTDOWN;
    default:
      return NBD_ERROR.EINVAL;
  }
}
