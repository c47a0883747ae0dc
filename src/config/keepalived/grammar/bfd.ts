import { text } from '../../../base/index.ts';
import { bool, flag, int, ip, time } from './args.ts';
import { block, word } from './spec.ts';
import { weight } from './tracks.ts';

const interval = time(0.001, 4_294_967, { unit: 'ms' });
/** `bfd_instance NAME`; the names and limits are RFC 5880's. */
export const bfdInstance = block(
  'bfd_instance',
  {
    neighbor_ip: word(ip()),
    source_ip: word(ip()),
    min_rx: word(interval),
    min_tx: word(interval),
    idle_tx: word(
      time(1000, 4_294_967, {
        unit: 'ms',
        hint: text(
          'a session that is down sends at most once a second (RFC 5880 section 6.8.3)',
          '会话未建立时最多每秒发送一次（RFC 5880 6.8.3 节）',
        ),
      }),
    ),
    multiplier: word(int(1, 255)),
    passive: word(flag),
    ttl: word(int(1, 255)),
    max_hops: word(int(-1, 255)),
    multihop: word(bool, { since: '2.3.0' }),
    weight: word(weight(253)),
    vrrp: word(flag),
    checker: word(flag),
  },
  { neighbour_ip: { of: 'neighbor_ip' }, hoplimit: { of: 'ttl' } },
);
