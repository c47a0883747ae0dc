import { isDeepStrictEqual } from 'node:util';
import { formatPrefix } from '../../../base/index.ts';
import {
  decodeAddress,
  decodeLink,
  decodeRoute,
  decodeRule,
  isCachedRoute,
  type Link,
  type LinkAddress,
  type NetlinkMessage,
  RTM,
} from '../../../wire/index.ts';
import type { NetChange } from '../../index.ts';

/** What makes two addresses the same entry of the kernel's table. */
export const keyOfAddress = (a: LinkAddress): string =>
  a.peer === undefined
    ? `${a.ifindex} ${formatPrefix(a.prefix)}`
    : `${a.ifindex} ${a.prefix.address} ${formatPrefix(a.peer)}`;

/** RTPROT_BOOT (`ip route` without a protocol), RTPROT_STATIC and RTPROT_KEEPALIVED. */
const BY_HAND_OR_VRRP: readonly number[] = [3, 4, 18];
/** struct rtmsg: u8 family, destination length, source length, tos, table, protocol. */
const PROTOCOL_AT = 5;

/** Links and addresses as last told, each in the order in which it was first heard of. Knows no socket: it is fed with messages. */
export class Mirror {
  readonly #links = new Map<number, Link>();
  readonly #names = new Map<string, number>();
  readonly #addresses = new Map<string, LinkAddress>();
  #linkList: readonly Link[] | undefined;
  #addressList: readonly LinkAddress[] | undefined;

  links(): readonly Link[] {
    this.#linkList ??= [...this.#links.values()];
    return this.#linkList;
  }
  byIndex(ifindex: number): Link | undefined {
    return this.#links.get(ifindex);
  }
  byName(name: string): Link | undefined {
    const ifindex = this.#names.get(name);
    return ifindex === undefined ? undefined : this.#links.get(ifindex);
  }
  addresses(): readonly LinkAddress[] {
    this.#addressList ??= [...this.#addresses.values()].map((a) => this.#tidy(a));
    return this.#addressList;
  }
  /** The kernel gives every IPv4 address a label, the link's name where none was asked for: that one says nothing. */
  #tidy(a: LinkAddress): LinkAddress {
    if (a.label === undefined || a.label !== this.#links.get(a.ifindex)?.name) return a;
    const { label, ...plain } = a;
    return plain;
  }
  clear(): void {
    this.#links.clear();
    this.#names.clear();
    this.#addresses.clear();
    this.#linkList = undefined;
    this.#addressList = undefined;
  }

  setLink(link: Link): NetChange[] {
    const old = this.#links.get(link.ifindex);
    if (old !== undefined && isDeepStrictEqual(old, link)) return [];
    if (old !== undefined && this.#names.get(old.name) === link.ifindex) this.#names.delete(old.name);
    this.#links.set(link.ifindex, link);
    this.#names.set(link.name, link.ifindex);
    this.#linkList = undefined;
    if (old?.name !== link.name) this.#addressList = undefined; // labels are judged by the name
    // Whoever goes by names has lost the old one, whatever else happens to the device.
    const renamed = old !== undefined && old.name !== link.name;
    return [...(renamed ? [{ kind: 'link-gone', link: old } as const] : []), { kind: 'link', link }];
  }
  removeLink(link: Link): NetChange[] {
    const old = this.#links.get(link.ifindex);
    if (old === undefined) return [];
    this.#links.delete(link.ifindex);
    if (this.#names.get(old.name) === link.ifindex) this.#names.delete(old.name);
    this.#linkList = undefined;
    // Its addresses have been told of as gone before; whatever is left went with it.
    const orphans = [...this.#addresses.values()].filter((a) => a.ifindex === link.ifindex);
    return [...orphans.flatMap((a) => this.removeAddress(a)), { kind: 'link-gone', link }];
  }
  holds(a: LinkAddress): boolean {
    return this.#addresses.has(keyOfAddress(a));
  }
  setAddress(a: LinkAddress): NetChange[] {
    const key = keyOfAddress(a);
    const old = this.#addresses.get(key);
    if (old !== undefined && isDeepStrictEqual(old, a)) return [];
    this.#addresses.set(key, a);
    this.#addressList = undefined;
    return [{ kind: 'address', address: this.#tidy(a) }];
  }
  removeAddress(a: LinkAddress): NetChange[] {
    if (!this.#addresses.delete(keyOfAddress(a))) return [];
    this.#addressList = undefined;
    return [{ kind: 'address-gone', address: this.#tidy(a) }];
  }

  /** What is new by this message; none where it tells nothing new, or nothing that is followed here. */
  take(m: NetlinkMessage): NetChange[] {
    switch (m.type) {
      case RTM.newLink:
      case RTM.delLink: {
        const link = decodeLink(m.payload);
        if (!link.ok) return [];
        return m.type === RTM.newLink ? this.setLink(link.value) : this.removeLink(link.value);
      }
      case RTM.newAddress:
      case RTM.delAddress: {
        const address = decodeAddress(m.payload);
        if (!address.ok) return [];
        return m.type === RTM.newAddress ? this.setAddress(address.value) : this.removeAddress(address.value);
      }
      case RTM.newRoute: {
        if (!BY_HAND_OR_VRRP.includes(m.payload[PROTOCOL_AT] ?? 0) || isCachedRoute(m.payload)) return [];
        const route = decodeRoute(m.payload);
        return route.ok ? [{ kind: 'route', route: route.value }] : [];
      }
      case RTM.delRoute: {
        const route = isCachedRoute(m.payload) ? undefined : decodeRoute(m.payload);
        return route?.ok ? [{ kind: 'route-gone', route: route.value }] : [];
      }
      case RTM.newRule:
      case RTM.delRule: {
        const rule = decodeRule(m.payload);
        return rule.ok ? [{ kind: m.type === RTM.newRule ? 'rule' : 'rule-gone', rule: rule.value }] : [];
      }
      default:
        return [];
    }
  }
}
