import {
  type Diagnostic,
  err,
  familyOf,
  hostLength,
  ok,
  parseIp,
  type Result,
  type Text,
  text,
} from '../base/index.ts';
import { type LabDefinition, privateFolders } from './types.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9-]{0,62}$/;
/** dev_valid_name() of the kernel, less the characters that nft and shells treat specially. */
const INTERFACE = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/;
const MAC = /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i;
const SYSCTL = /^net([./][A-Za-z0-9_-]+)+$/;

type Shape = Readonly<Record<string, unknown>>;
const isObject = (v: unknown): v is Shape => typeof v === 'object' && v !== null && !Array.isArray(v);
const isStrings = (v: unknown): v is readonly string[] => Array.isArray(v) && v.every((s) => typeof s === 'string');

/** `192.168.1.10/24`; the length must be there, since a lab without networks is always a mistake. */
function isAddressWithLength(s: string): boolean {
  const [address = '', length, more] = s.split('/');
  const ip = parseIp(address);
  if (!ip.ok || length === undefined || more !== undefined || !/^\d{1,3}$/.test(length)) return false;
  return Number(length) <= hostLength(familyOf(ip.value));
}

/** Checks a definition from anywhere (JSON included) and reports everything that is wrong with it, each with its path. */
export function checkDefinition(input: unknown): Result<LabDefinition, readonly Diagnostic[]> {
  const found: Diagnostic[] = [];
  const wrong = (path: string, code: string, message: Text): void => {
    const at = path === '' ? '' : `${path}: `;
    found.push({
      severity: 'error',
      code,
      place: undefined,
      message: text(`${at}${message.en}`, `${at}${message.zh}`),
    });
  };
  const onlyKeys = (path: string, o: Shape, known: readonly string[]): void => {
    for (const key of Object.keys(o))
      if (!known.includes(key))
        wrong(
          path,
          'lab-unknown-key',
          text(`unknown key '${key}' (known: ${known.join(', ')})`, `未知的键“${key}”（可用：${known.join('、')}）`),
        );
  };
  const expected = (path: string, en: string, zh: string): void =>
    wrong(path, 'lab-type', text(`${en} is expected here`, `此处应为${zh}`));

  if (!isObject(input)) {
    expected('', 'an object with switches and hosts', '含 switches 和 hosts 的对象');
    return err(found);
  }
  onlyKeys('', input, ['switches', 'hosts']);
  const switches = new Set<string>();
  if (!Array.isArray(input['switches'])) expected('switches', 'a list of switches', '交换机列表');
  else
    input['switches'].forEach((s: unknown, i) => {
      const path = `switches[${i}]`;
      if (isObject(s)) {
        onlyKeys(path, s, ['name', 'multicastSnooping']);
        if (!['boolean', 'undefined'].includes(typeof s['multicastSnooping']))
          expected(`${path}.multicastSnooping`, 'true or false', ' true 或 false');
      }
      const name = isObject(s) ? s['name'] : s;
      if (typeof name !== 'string' || !NAME.test(name)) expected(path, "a switch's name", '交换机名称');
      else if (switches.has(name))
        wrong(path, 'lab-duplicate', text(`switch '${name}' appears twice`, `交换机“${name}”重复`));
      else switches.add(name);
    });

  const link = (path: string, name: string, l: unknown): void => {
    if (!INTERFACE.test(name) || name === 'lo')
      wrong(
        path,
        'lab-link-name',
        text('an interface name has 1 to 15 letters, digits, _ . -', '接口名为 1 到 15 个字母、数字、_ . -'),
      );
    if (!isObject(l)) {
      expected(path, 'an object', '对象');
      return;
    }
    onlyKeys(path, l, ['to', 'addresses', 'mac', 'mtu']);
    if (typeof l['to'] !== 'string' || !switches.has(l['to']))
      wrong(
        `${path}.to`,
        'lab-no-such-switch',
        text(
          `no switch '${l['to']}' (known: ${[...switches].join(', ')})`,
          `没有交换机“${l['to']}”（可用：${[...switches].join('、')}）`,
        ),
      );
    if (l['addresses'] !== undefined && !(isStrings(l['addresses']) && l['addresses'].every(isAddressWithLength)))
      expected(
        `${path}.addresses`,
        'a list of addresses with prefix length (192.168.1.10/24)',
        '带前缀长度的地址列表（192.168.1.10/24）',
      );
    if (l['mac'] !== undefined && !(typeof l['mac'] === 'string' && MAC.test(l['mac'])))
      expected(`${path}.mac`, 'a unicast MAC address (02:00:00:00:00:0a)', '单播 MAC 地址（02:00:00:00:00:0a）');
    const mtu = l['mtu'];
    if (mtu !== undefined && !(Number.isInteger(mtu) && (mtu as number) >= 68 && (mtu as number) <= 65_535))
      expected(`${path}.mtu`, 'a whole number in 68..65535', '68..65535 之间的整数');
  };

  const host = (path: string, h: unknown): void => {
    if (!isObject(h)) {
      expected(path, 'an object', '对象');
      return;
    }
    onlyKeys(path, h, ['links', 'hostname', 'files', 'routes', 'sysctls', 'start']);
    const links = h['links'] ?? {};
    if (!isObject(links)) expected(`${path}.links`, 'an object: interface name -> link', '对象：接口名 -> 链路');
    else for (const [name, l] of Object.entries(links)) link(`${path}.links.${name}`, name, l);
    if (
      h['hostname'] !== undefined &&
      !(typeof h['hostname'] === 'string' && /^[A-Za-z0-9.-]{1,64}$/.test(h['hostname']))
    )
      expected(`${path}.hostname`, 'a host name', '主机名');
    const files = h['files'] ?? {};
    if (!isObject(files)) expected(`${path}.files`, 'an object: path -> text', '对象：路径 -> 文本');
    else
      for (const [file, content] of Object.entries(files)) {
        if (typeof content !== 'string') expected(`${path}.files.${file}`, 'text', '文本');
        if (!isPrivatePath(file))
          wrong(
            `${path}.files.${file}`,
            'lab-file-not-private',
            text(
              `a planted file must be below ${privateFolders.join(', ')}: the rest belongs to the real machine`,
              `预置文件必须位于 ${privateFolders.join('、')} 之下：其余目录属于真实机器`,
            ),
          );
      }
    if (h['routes'] !== undefined && !(isStrings(h['routes']) && h['routes'].every((r) => !/[\n;]/.test(r))))
      expected(`${path}.routes`, 'a list of routes as `ip route add` takes them', '`ip route add` 形式的路由列表');
    const sysctls = h['sysctls'] ?? {};
    if (!isObject(sysctls)) expected(`${path}.sysctls`, 'an object: name -> value', '对象：名称 -> 值');
    else
      for (const [name, value] of Object.entries(sysctls))
        if (!SYSCTL.test(name) || typeof value !== 'string')
          expected(
            `${path}.sysctls.${name}`,
            "a net.* name and a value as text ('1')",
            '以 net. 开头的名称和文本值（"1"）',
          );
    const start = h['start'];
    if (start !== undefined && !(Array.isArray(start) && start.every((argv) => isStrings(argv) && argv.length > 0)))
      expected(`${path}.start`, 'a list of commands, each a list of arguments', '命令列表，每个命令为参数列表');
  };
  if (!isObject(input['hosts'])) expected('hosts', 'an object: name -> host', '对象：名称 -> 主机');
  else
    for (const [name, h] of Object.entries(input['hosts'])) {
      if (!NAME.test(name))
        expected(`hosts.${name}`, 'a host name of letters, digits and -', '由字母、数字和 - 组成的主机名');
      host(`hosts.${name}`, h);
    }
  return found.length > 0 ? err(found) : ok(input as LabDefinition);
}

/** Absolute, without `.` and `..`, and below a folder of which every host has its own copy. */
export const isPrivatePath = (path: string): boolean =>
  !path.split('/').some((part) => part === '.' || part === '..') &&
  privateFolders.some((folder) => path.startsWith(`${folder}/`));
