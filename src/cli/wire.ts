/** `holdfast wire decode FILE.pcap`: what a capture says, one line for each message of a protocol that is spoken here. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { err, type Language, languageOf, ok, type Result, type Text, text, verbatim } from '../base/index.ts';
import { EXIT } from '../daemon/index.ts';
import { decodePcap, dissect, type PcapError, renderJson, renderMessage } from '../wire/index.ts';

const USAGE = text(
  `Usage: holdfast wire decode FILE [--json]

  FILE      a capture of tcpdump or Wireshark (pcap or pcapng, also with gzip)
  --json    one JSON object a line: packet, time, source, destination, protocol, message, fields

Shown are ARP, neighbour discovery, VRRP, BFD, DRBD and NBD; times are seconds since the first packet.
`,
  `用法：holdfast wire decode 文件 [--json]

  文件      tcpdump 或 Wireshark 的抓包（pcap 或 pcapng，可用 gzip 压缩）
  --json    每行一个 JSON 对象：packet、time、source、destination、protocol、message、fields

显示 ARP、邻居发现、VRRP、BFD、DRBD 和 NBD；时间为距第一个数据包的秒数。
`,
);

type WireArguments = { readonly file: string; readonly json: boolean };

function readWire(argv: readonly string[]): Result<WireArguments, Text> {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { json: { type: 'boolean' }, lang: { type: 'string' } },
    });
    const [verb, file, ...more] = positionals;
    if (verb !== 'decode' || file === undefined || more.length > 0) return err(USAGE);
    return ok({ file, json: values.json ?? false });
  } catch (e) {
    return err(verbatim(`${e instanceof Error ? e.message : String(e)}\n`));
  }
}

function explain(e: PcapError): Text {
  switch (e.kind) {
    case 'short':
      return text(`only ${e.have} bytes: no capture`, `只有 ${e.have} 字节：不是抓包文件`);
    case 'magic':
      return text(
        `not a capture: it begins with 0x${e.have.toString(16)} (pcap and pcapng are read)`,
        `不是抓包文件：开头为 0x${e.have.toString(16)}（支持 pcap 和 pcapng）`,
      );
    case 'version':
      return text(`a capture of version ${e.major}.${e.minor}`, `抓包文件版本为 ${e.major}.${e.minor}`);
    case 'record':
      return text(
        `byte ${e.at}: a record of ${e.length} bytes cannot be`,
        `第 ${e.at} 字节：记录长度 ${e.length} 不可能`,
      );
    case 'interface':
      return text(
        `byte ${e.at}: a packet of interface ${e.have}, which nothing describes`,
        `第 ${e.at} 字节：数据包属于接口 ${e.have}，但没有该接口的描述`,
      );
  }
}

export async function wire(argv: readonly string[]): Promise<number> {
  const at = argv.indexOf('--lang');
  const language: Language = languageOf(process.env, at < 0 ? undefined : argv[at + 1]);
  const a = readWire(argv);
  if (!a.ok) {
    process.stderr.write(a.error[language]);
    return EXIT.wrong;
  }
  const { file, json } = a.value;
  const fail = (words: Text): number => {
    process.stderr.write(`holdfast: ${file}: ${words[language]}\n`);
    return EXIT.failed;
  };
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = gunzipSync(bytes);
  } catch (e) {
    return fail(verbatim(e instanceof Error ? e.message : String(e)));
  }
  const capture = decodePcap(bytes);
  if (!capture.ok) return fail(explain(capture.error));
  process.stdout.on('error', () => process.exit(EXIT.done)); // the reader of a pipe went away
  const { messages, others } = dissect(capture.value);
  const start = capture.value.packets[0]?.at ?? 0;
  let unread = 0;
  for (const m of messages) {
    process.stdout.write(`${json ? renderJson(m) : renderMessage(m, start)}\n`);
    if (m.message === 'error') unread++;
  }
  const say = (words: Text): void => void process.stderr.write(`holdfast: ${file}: ${words[language]}\n`);
  if (others > 0)
    say(text(`${others} packets of other protocols are not shown`, `有 ${others} 个其他协议的数据包未显示`));
  if (capture.value.truncated) say(text('the file ends in the middle of a packet', '文件在一个数据包中间结束'));
  if (unread > 0) say(text(`${unread} messages could not be read`, `有 ${unread} 条消息无法解读`));
  return unread > 0 ? EXIT.failed : EXIT.done;
}
