import { seconds, text } from '../../../base/index.ts';
import type { Authentication, HmacAuthentication } from '../../../vrrp/config.ts';
import type { vrrpInstance } from '../grammar/instance.ts';
import type { ValuesOf } from '../grammar/spec.ts';
import type { Report } from '../report.ts';

type Values = ValuesOf<(typeof vrrpInstance)['words']>;
const NONE: Authentication = { type: 'none' };

/** Type 1 and 2 of VRRPv2 (RFC 2338 section 10); the password is at most 8 bytes on the wire. */
export function buildAuthentication(v: Values, name: string, version: 2 | 3, report: Report): Authentication {
  const got = v.authentication?.at(-1);
  if (!got) return NONE;
  const { auth_type, auth_pass } = got.value.values;
  const type = auth_type?.value ?? (auth_pass ? 'pass' : 'none');
  if (type === 'none') return NONE;
  if (version === 3) {
    report.fault(
      'vrrp-auth-v3',
      got.keyword,
      text(`${name}: VRRP version 3 has no authentication`, `${name}:VRRP 版本 3 没有认证`),
      text('leave the block out, or use auth_hmac', '请删除该块，或使用 auth_hmac'),
    );
    return NONE;
  }
  if (!auth_pass) {
    report.fault(
      'vrrp-auth-pass-missing',
      got.keyword,
      text(`${name}: auth_type without auth_pass`, `${name}：有 auth_type 而没有 auth_pass`),
    );
    return NONE;
  }
  const bytes = new TextEncoder().encode(auth_pass.value);
  if (bytes.length > 8)
    report.warn(
      'vrrp-auth-pass-long',
      auth_pass.at,
      text('only the first 8 bytes of the password are sent', '密码只有前 8 个字节会被发送'),
      text('shorten it to 8: the peers must agree', '请缩短到 8 个字节，各主机必须一致'),
    );
  return { type, password: new TextDecoder().decode(bytes.slice(0, 8)).replace(/\ufffd+$/, '') };
}

/** A file that holds a key; undefined where it cannot be read. */
export type ReadKey = (path: string) => string | undefined;

const hexBytes = (s: string): Uint8Array | undefined =>
  /^([0-9a-fA-F]{2})+$/.test(s) ? Uint8Array.from(s.match(/../g)!, (b) => Number.parseInt(b, 16)) : undefined;

export function buildHmac(
  v: Values,
  name: string,
  advertMicroseconds: number,
  read: ReadKey,
  report: Report,
): HmacAuthentication | undefined {
  const got = v.auth_hmac?.at(-1);
  if (!got) return undefined;
  const h = got.value.values;
  const keys = (h.key ?? []).flatMap(({ value, at }) => {
    const [kind, rest] = [/^(hex|file):/.exec(value.source)?.[1], value.source.replace(/^(hex|file):/, '')];
    const content = kind === 'file' ? read(rest)?.trimEnd() : rest;
    const key =
      content === undefined ? undefined : kind === 'hex' ? hexBytes(content) : new TextEncoder().encode(content);
    if (key !== undefined && key.length > 0) return [{ id: value.id, key }];
    report.error(
      'vrrp-hmac-key',
      at,
      kind === 'file'
        ? text(`the key file ${rest} cannot be read or is empty`, `密钥文件 ${rest} 无法读取或为空`)
        : text('this key is no hexadecimal or is empty', '该密钥不是十六进制或为空'),
    );
    return [];
  });
  const repeated = keys.find((k, i) => keys.findIndex((o) => o.id === k.id) !== i);
  if (repeated)
    report.error(
      'vrrp-hmac-key-repeated',
      got.keyword,
      text(`key ${repeated.id} is given twice`, `密钥 ${repeated.id} 重复`),
    );
  const activeKey = h.active_key?.value ?? keys[0]?.id;
  if (activeKey === undefined || !keys.some((k) => k.id === activeKey)) {
    report.error(
      'vrrp-hmac-active',
      h.active_key?.at ?? got.keyword,
      text(`${name}: no key with the id of active_key`, `${name}：没有与 active_key 对应的密钥`),
    );
    return undefined;
  }
  const usual = Math.min(300_000_000, Math.max(3 * advertMicroseconds, 5_000_000));
  return {
    keys,
    activeKey,
    antiReplay: h.anti_replay?.value ?? 'time',
    window: h.time_window?.value ?? seconds(usual / 1e6),
    mode: h.mode?.value ?? 'enforce',
  };
}
