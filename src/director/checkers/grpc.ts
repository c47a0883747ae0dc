/** grpc.health.v1.Health/Check: a unary call over HTTP/2 with one field in each direction, so that no protobuf library is needed. */
import { ByteReader, ByteWriter, text } from '../../base/index.ts';
import type { Http2Request } from '../../host/index.ts';
import { bytesOf, quoted } from './bytes.ts';
import { type Finding, fail, pass } from './conversation.ts';

const STATUS = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

function varint(n: number): number[] {
  return n > 127 ? [(n % 128) | 128, ...varint(Math.floor(n / 128))] : [n];
}
export function grpcRequest(service: string, authority: string, tls: boolean): Http2Request {
  const name = bytesOf(service);
  const message = name.length === 0 ? new Uint8Array(0) : Uint8Array.from([0x0a, ...varint(name.length), ...name]);
  return {
    headers: {
      ':method': 'POST',
      ':scheme': tls ? 'https' : 'http',
      ':path': '/grpc.health.v1.Health/Check',
      ':authority': authority,
      'content-type': 'application/grpc',
      te: 'trailers',
    },
    body: new ByteWriter().u8(0).u32(message.length).put(message).done(),
  };
}

/** Field 1 of HealthCheckResponse; 0 where it is absent, as proto3 has it; undefined where the bytes are none. */
function servingStatus(body: Uint8Array): number | undefined {
  const r = new ByteReader(body);
  const compressed = r.u8();
  const message = new ByteReader(r.bytes(r.u32()));
  if (r.short || compressed !== 0) return undefined;
  let status = 0;
  while (message.left > 0 && !message.short) {
    const tag = message.u8();
    const kind = tag & 7;
    let value = 0;
    if (kind === 0 || kind === 2) {
      let scale = 1;
      let b = 128;
      for (let i = 0; i < 10 && b > 127; i++, scale *= 128) {
        b = message.u8();
        value += (b & 127) * scale;
      }
    }
    if (tag === 8) status = value;
    else if (kind === 2) message.skip(value);
    else if (kind === 1) message.skip(8);
    else if (kind === 5) message.skip(4);
    else if (kind !== 0) return undefined;
  }
  return message.short ? undefined : status;
}

export function judgeGrpc(
  http: number,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
  trailers: Readonly<Record<string, string>>,
): Finding {
  if (http !== 200) return fail('status', text(`HTTP status ${http}`, `HTTP 状态码 ${http}`));
  const status = trailers['grpc-status'] ?? headers['grpc-status'];
  const message = trailers['grpc-message'] ?? headers['grpc-message'] ?? '';
  if (status !== '0') {
    const words = `${status ?? '?'} ${quoted(message)}`;
    return fail('grpc-status', text(`gRPC status ${words}`, `gRPC 状态 ${words}`));
  }
  const serving = servingStatus(body);
  if (serving === undefined)
    return fail('protocol', text('the answer is no HealthCheckResponse', '应答不是 HealthCheckResponse'));
  const name = STATUS[serving] ?? String(serving);
  return serving === 1 ? pass('serving', text(name, name)) : fail('not-serving', text(name, name));
}
