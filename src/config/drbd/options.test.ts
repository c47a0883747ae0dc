/** Every option of the table, walked: what it accepts, what it refuses, and that it changes what the mirror is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { golden } from '../../../test/golden/golden.ts';
import type { MirrorConfig } from '../../mirror/config.ts';
import { filesOf } from '../keepalived/testdata/files.ts';
import { OPTION_ROWS, type OptionRow, optionsOf, RENAMED, SYNCER } from './options.ts';
import { type DrbdResult, readDrbdConf } from './reader.ts';

const FILE = '/etc/drbd.conf';
const resource = (inside: string): string => `resource r0 {
  on a { device /dev/drbd0; disk /dev/sda; meta-disk internal; address 10.0.0.1:7788; }
  on b { device /dev/drbd0; disk /dev/sda; meta-disk internal; address 10.0.0.2:7788; }
${inside}
}
`;
const read = (text: string): DrbdResult =>
  readDrbdConf({ file: FILE, files: filesOf({ [FILE]: text }), options: { hostName: 'a' } });
/** A file with this option alone; the others of which it has need are there too. */
const around = (r: OptionRow, line: string): string => {
  if (r.section === 'global') return `global {\n${line}\n}\n${resource('')}`;
  const company: Readonly<Record<string, string>> = {
    'cram-hmac-alg': ' shared-secret s;',
    'shared-secret': ' cram-hmac-alg sha1;',
  };
  return resource(`${r.section} {\n${line}\n${r.section === 'net' ? (company[r.name] ?? '') : ''} }`);
};
const findings = (text: string): string[] =>
  read(text)
    .diagnostics.filter((d) => d.severity === 'error')
    .map((d) => d.code);
const mirrorOf = (text: string): MirrorConfig => {
  const { config, diagnostics } = read(text);
  assert.ok(config, JSON.stringify(diagnostics, null, 1));
  return config.mirrors[0] as MirrorConfig;
};
const DIGEST = /-alg$/;
const sample = (r: OptionRow): string => {
  switch (r.type.is) {
    case 'number':
      return String(r.type.default === r.type.low ? r.type.low + 1 : r.type.low);
    case 'yes-no':
      return r.type.default ? 'no' : 'yes';
    case 'word':
      return r.type.words[1] as string;
    case 'text':
      return DIGEST.test(r.name)
        ? 'sha256'
        : r.name === 'become-primary-on'
          ? 'a'
          : r.name === 'transport'
            ? 'tcp'
            : 'something';
  }
};

for (const r of OPTION_ROWS)
  test(`${r.section} { ${r.name} } takes what it may be and refuses all else at its place`, () => {
    const accepts = (value: string): void =>
      assert.deepEqual(findings(around(r, `${r.name} ${value};`)), [], `${r.name} ${value}`);
    const refuses = (value: string, code: string): void => {
      const { diagnostics, config } = read(around(r, `${r.name} ${value};`));
      const d = diagnostics.find((x) => x.code === code);
      assert.ok(d && config === undefined, `${r.name} ${value}: ${JSON.stringify(diagnostics)}`);
      const line = around(r, `${r.name} ${value};`)
        .split('\n')
        .findIndex((l) => l.startsWith(r.name));
      assert.equal(d.place?.line, line + 1);
      assert.equal(d.place?.column, r.name.length + 2);
    };
    accepts(sample(r));
    switch (r.type.is) {
      case 'number': {
        const { low, high, words = [] } = r.type;
        for (const v of [low, high, ...words]) accepts(String(v));
        if (low > 0) refuses(String(low - 1), 'drbd-range');
        refuses(String(high + 1), 'drbd-range');
        refuses('10x', 'drbd-number');
        break;
      }
      case 'yes-no':
        accepts('yes');
        accepts('no');
        accepts('');
        refuses('maybe', 'drbd-value');
        break;
      case 'word':
        // Two primaries and the like need company that this file does not have; each word alone is in order.
        for (const w of r.type.words) accepts(w);
        refuses('wrong-word', 'drbd-value');
        assert.deepEqual(findings(around(r, `${r.name};`)), ['drbd-value-missing']);
        break;
      case 'text':
        if (r.type.longest !== undefined) refuses('x'.repeat(r.type.longest + 1), 'drbd-too-long');
    }
  });

const TELLS_NOTHING_ALONE: Readonly<Record<string, string>> = {
  'net transport': 'tcp is what there is',
  'net csums-after-crash-only': '',
};
for (const r of OPTION_ROWS.filter(
  (x) => x.use.is === 'used' && !(TELLS_NOTHING_ALONE[`${x.section} ${x.name}`] ?? ''),
))
  test(`${r.section} { ${r.name} } changes what the mirror is told`, () => {
    const base = around(r, '');
    const withIt = around(r, `${r.name} ${sample(r)};`);
    const before = r.name === 'shared-secret' || r.name === 'cram-hmac-alg' ? mirrorOf(resource('')) : mirrorOf(base);
    assert.notDeepEqual(mirrorOf(withIt), before);
  });

for (const r of OPTION_ROWS.filter((x) => x.use.is === 'needs' || x.use.is === 'none'))
  test(`${r.section} { ${r.name} } is told to have no effect`, () => {
    const { diagnostics } = read(around(r, `${r.name} ${sample(r)};`));
    const code = r.use.is === 'needs' ? 'drbd-9-only' : 'drbd-no-effect';
    assert.ok(
      diagnostics.some((d) => d.code === code && d.severity === 'warning'),
      JSON.stringify(diagnostics),
    );
  });

test('a misspelled option is told with the one that was meant, and one of another section with its section', () => {
  for (const [section, typed, hint] of [
    ['net', 'ping-tiemout', "did you mean 'ping-timeout'?"],
    ['disk', 'on-io-eror', "did you mean 'on-io-error'?"],
    ['disk', 'verify-alg', 'it belongs in net { }'],
    ['net', 'al-extents', 'it belongs in disk { }'],
  ] as const) {
    const { diagnostics } = read(resource(`${section} { ${typed} 1; }`));
    assert.equal(diagnostics[0]?.code, 'drbd-word-unknown');
    assert.equal(diagnostics[0]?.hint?.en, hint);
  }
});

test('what 8.3 wrote in syncer and with no- says the same as the options of now', () => {
  const old = resource(
    'syncer { rate 30M; al-extents 257; verify-alg sha1; }\n disk { no-disk-flushes; no-md-flushes; }\n protocol A;',
  );
  const now = resource(
    'disk { resync-rate 30M; al-extents 257; disk-flushes no; md-flushes no; }\n net { verify-alg sha1; protocol A; }',
  );
  assert.deepEqual(mirrorOf(old), mirrorOf(now));
  assert.equal(mirrorOf(old).volumes[0]?.options.diskFlushes, false);
  for (const word of Object.keys(SYNCER)) {
    const row = OPTION_ROWS.find((r) => r.name === SYNCER[word]?.name && r.section === SYNCER[word]?.section);
    assert.ok(row, word);
    assert.deepEqual(findings(resource(`syncer { ${word} ${sample(row)}; }`)), [], word);
  }
  for (const key of Object.keys(RENAMED)) {
    const [section, word] = key.split(' ');
    assert.deepEqual(findings(resource(`${section} { ${word} ${section === 'handlers' ? 'x' : ''}; }`)), [], word);
  }
});

test('units: seconds, tenths, sectors, KiB a second and pages, with and without suffix', () => {
  const m = mirrorOf(
    resource(
      'net { ping-int 7; timeout 45; max-buffers 100; sndbuf-size 1M; congestion-fill 2s; protocol A; on-congestion pull-ahead; } disk { size 2048; c-fill-target 1M; resync-rate 300; c-max-rate 1G; disk-timeout 5; }',
    ),
  );
  assert.deepEqual(
    [m.net.pingInterval, m.net.timeout, m.net.maxBuffers, m.net.sendBuffer, m.net.congestionFill],
    [7000, 4500, 409_600, 1_048_576, 1024],
  );
  const o = m.volumes[0]?.options;
  assert.deepEqual(
    [o?.size, o?.resync.fillTarget, o?.resync.rate, o?.resync.maxRate, o?.diskTimeout],
    [1_048_576, 1_048_576, 307_200, 1_073_741_824, 500],
  );
});

test('the table of options is what a reviewer has seen', (t) => {
  const type = (r: OptionRow): string => {
    switch (r.type.is) {
      case 'number':
        return `${r.type.unit} ${r.type.low}..${r.type.high} = ${r.type.default}${r.type.words ? ` | ${r.type.words.join(' | ')}` : ''}`;
      case 'yes-no':
        return `yes|no = ${r.type.default ? 'yes' : 'no'}`;
      case 'word':
        return `${r.type.words.join('|')} = ${r.type.default}`;
      case 'text':
        return `text${r.type.longest === undefined ? '' : ` of at most ${r.type.longest} bytes`}`;
    }
  };
  const use = (r: OptionRow): string =>
    r.use.is === 'needs' ? `needs ${r.use.what.en}` : r.use.is === 'none' ? `no effect: ${r.use.why.en}` : r.use.is;
  const sections = [...new Set(OPTION_ROWS.map((r) => r.section))];
  const rows = sections.flatMap((s) => [
    `${s}: ${optionsOf(s).length} options`,
    ...OPTION_ROWS.filter((r) => r.section === s).map((r) => `  ${r.name}: ${type(r)}; ${use(r)}`),
  ]);
  golden(t, 'drbd-options', rows.join('\n'));
});
