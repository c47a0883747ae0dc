import { text } from '../../../base/index.ts';
import { addressLine } from './addresses.ts';
import { type Args, flag, int, NAME, type Reader, str } from './args.ts';
import { bfdInstance } from './bfd.ts';
import { sslBlock, virtualServer, virtualServerGroup, virtualServerHead } from './director.ts';
import { globalDefs } from './global.ts';
import { vrrpInstance } from './instance.ts';
import { routeLine } from './routes.ts';
import { ruleLine } from './rules.ts';
import { type AnyBlock, block, lines, nested, word } from './spec.ts';
import {
  delayLine,
  garpGroup,
  linkbeatLine,
  syncGroup,
  trackFile,
  trackGroup,
  trackProcess,
  vrrpScript,
} from './tracks.ts';

const nothing = (): true => true;
const named: Reader<string> = (a) => a.need(NAME)?.text;
const maybeNamed: Reader<string> = (a) => a.next()?.text ?? '';

/** The top of the file. The include words are not here: includes are resolved before anything is read. */
export const root = block(
  'the top level',
  {
    net_namespace: word(str(NAME)),
    net_namespace_ipvs: word((a: Args) => a.next()?.text ?? ''),
    namespace_with_ipsets: word(flag),
    instance: word(str(NAME)),
    use_pid_dir: word(flag),
    linkbeat_use_polling: word(flag),
    child_wait_time: word(int(0, 2 ** 31 - 1)),
    global_defs: nested(globalDefs, nothing),
    static_ipaddress: lines(addressLine),
    static_routes: lines(routeLine),
    static_rules: lines(ruleLine),
    track_group: nested(trackGroup, named),
    track_file: nested(trackFile, named),
    vrrp_script: nested(vrrpScript, named),
    vrrp_track_process: nested(trackProcess, named),
    vrrp_sync_group: nested(syncGroup, named),
    garp_group: nested(garpGroup, maybeNamed),
    vrrp_instance: nested(vrrpInstance, named),
    linkbeat_interfaces: lines(linkbeatLine),
    interface_up_down_delays: lines(delayLine),
    bfd_instance: nested(bfdInstance, named),
    SSL: nested(sslBlock, nothing),
    virtual_server_group: virtualServerGroup,
    virtual_server: nested(virtualServer, virtualServerHead),
  },
  { vrrp_track_file: { of: 'track_file', deprecated: text("write 'track_file'", "请改写为 'track_file'") } },
);
export const rootBlock = root as unknown as AnyBlock;
