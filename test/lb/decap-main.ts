/** Ends tunnels in a lab's real server until it is killed. Argument: JSON of what is wanted. Prints `ready`. */
import { Decapsulator, type DecapsulatorWanted } from '../../src/director/realserver/index.ts';
import { linuxBpf, linuxLog, linuxNetlink, loadAddon, openNetwork } from '../../src/host/linux/index.ts';

const addon = loadAddon();
if (!addon.ok) throw new Error(addon.error.doing.en);
const bpf = linuxBpf(linuxNetlink(addon.value));
const network = openNetwork(addon.value, linuxLog(addon.value, { language: 'en', least: 'notice' }));
if (!bpf.ok || !network.ok) throw new Error('no BPF or no rtnetlink');
const eth0 = network.value.linkByName('eth0')?.ifindex ?? 0;
const wanted = JSON.parse(process.argv[2] ?? '{}') as Omit<DecapsulatorWanted, 'ifindexes'>;
const done = new Decapsulator(bpf.value, '/run/holdfast-decap').set({ ...wanted, ifindexes: [eth0] });
if (!done.ok) throw new Error(JSON.stringify(done.error));
process.stdout.write('ready\n');
setInterval(() => {}, 60_000);
