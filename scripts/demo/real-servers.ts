/** The acts of the real servers: they take turns, one dies and comes back, both die and the sorry page stands in. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LbDocument } from '../../src/api/index.ts';
import { text } from '../../src/base/index.ts';
import { type Lab, now, startProbe } from '../../src/lab/index.ts';
import { ASK_MS, asked, percent, root, type Scene, served, until, VIP, WEBS } from './scene.ts';
import { REFUSED, secondsOf, type Teller } from './story.ts';

const STARTED_MS = 40_000;
/** One failure and three more, 2 s apart, after at most a second: 7 s; and what a busy machine may be late. */
const OUT_MS = 20_000;
/** The checker's next attempt, 2 s at most, and the same. */
const BACK_MS = 15_000;
const rows = [
  ['web1', text('web1', 'web1')],
  ['web2', text('web2', 'web2')],
] as const;
const refused = [REFUSED, text('refused', '被拒绝')] as const;
const sorry = ['ha1', text('sorry', '故障页')] as const;

/** From power on until both serve behind the address. */
export async function takeTurns(lab: Lab, teller: Teller): Promise<Scene> {
  const probe = await startProbe(
    lab.host('client'),
    { http: `http://${VIP}/` },
    { intervalMs: ASK_MS, patienceMs: 1000 },
  );
  await until(
    () => served(probe, WEBS),
    STARTED_MS,
    text(`web1 and web2 do not answer at ${VIP}`, `web1 和 web2 没有在 ${VIP} 应答`),
  );
  teller.say(
    text(
      'ha1 is MASTER: nobody sent adverts, and of the two it has the higher\npriority (100 > 96)',
      'ha1 成为主机（MASTER）：没有收到任何通告，而且它的优先级较高\n（100 > 96）',
    ),
  );
  const from = now();
  await sleep(1500);
  const all = asked(probe, from);
  const [one, two] = WEBS.map((w) => percent(all.filter((a) => a.by === w).length, all.length));
  const plane = await planeOf(lab);
  teller.say(
    text(
      `web1 and web2 take turns behind it: ${one} % and ${two} % of ${all.length} answers.\nha1's kernel passes the requests on (plane ${plane}); answers go straight\nto the client (DR)`,
      `web1 和 web2 轮流应答：${all.length} 次应答中各占 ${one}% 和 ${two}%。\nha1 的内核转发请求（数据面 ${plane}），应答直接返回客户端（DR）`,
    ),
  );
  return { lab, teller, probe };
}

/** What carries the service on ha1, as `holdfast lb status` says. */
async function planeOf(lab: Lab): Promise<string> {
  const { stdout } = await lab.host('ha1').run([join(root, 'bin/holdfast'), 'lb', 'status', '--json']);
  const service = (JSON.parse(stdout) as LbDocument).services[0];
  return service?.plane ?? '?';
}

export async function oneDies(scene: Scene): Promise<void> {
  const { lab, teller, probe } = scene;
  const died = now();
  teller.say(text('nginx on web1 DIES', 'web1 上的 nginx 突然退出'));
  await stopNginx(lab, 'web1');
  await until(() => served(probe, ['web2']), OUT_MS, text('web1 is still asked', 'web1 仍然收到请求'));
  const all = asked(probe, died);
  const failed = all.filter((a) => a.error !== undefined);
  const last = failed.at(-1)?.at ?? died;
  teller.say(
    text(
      'web1 is out: its check failed, and again three times, 2 s apart, as the\nfile says (nb_get_retry 3, delay_before_retry 2)',
      'web1 已移出：检查失败，又按配置每隔 2 秒重试三次，仍然失败\n（nb_get_retry 3，delay_before_retry 2）',
    ),
    last,
  );
  const starting = now();
  await startNginx(lab, 'web1');
  await until(() => served(probe, WEBS), BACK_MS, text('web1 is not asked again', 'web1 没有重新收到请求'));
  const back = asked(probe, starting).find((a) => a.by === 'web1')?.at ?? now();
  teller.say(
    text(
      'nginx on web1 runs again: one good check, and web1 serves',
      'web1 的 nginx 重新运行：检查通过一次后即恢复服务',
    ),
    back,
  );
  teller.picture(probe.answers, died - 500_000, now() - 100_000, [...rows, refused]);
  teller.note(
    text(
      `the client was refused ${failed.length} times of ${all.length}, within ${secondsOf(last - died)} s, and not again`,
      `客户端的 ${all.length} 次访问中有 ${failed.length} 次被拒绝，都在 ${secondsOf(last - died)} 秒之内，此后再没有`,
    ),
  );
}

export async function bothDie(scene: Scene): Promise<void> {
  const { lab, teller, probe } = scene;
  const died = now();
  teller.line();
  teller.say(text('nginx on web1 and on web2 DIES', 'web1 和 web2 上的 nginx 同时退出'));
  await Promise.all(WEBS.map((w) => stopNginx(lab, w)));
  await until(() => served(probe, ['ha1']), OUT_MS, text('no sorry page', '故障页没有出现'));
  const page = asked(probe, died).find((a) => a.by === 'ha1')?.at ?? now();
  teller.say(
    text(
      'nobody is left: ha1 answers with its own page (sorry_server 127.0.0.1)',
      '没有可用的服务器：ha1 用自己的页面应答（sorry_server 127.0.0.1）',
    ),
    page,
  );
  const starting = now();
  await Promise.all(WEBS.map((w) => startNginx(lab, w)));
  await until(
    () => served(probe, WEBS),
    BACK_MS,
    text('web1 and web2 do not serve again', 'web1 和 web2 没有恢复服务'),
  );
  const last = asked(probe, starting).findLast((a) => a.by === 'ha1')?.at ?? starting;
  teller.say(text('both run again: the sorry page has gone', '两台都重新运行：故障页消失'), last);
  teller.picture(probe.answers, died - 500_000, now() - 100_000, [...rows, sorry, refused]);
}

/** The master process ends its workers with it, and the kernel refuses whoever comes. */
async function stopNginx(lab: Lab, name: string): Promise<void> {
  await lab.host(name).run(['sh', '-c', 'kill -TERM "$(cat /run/nginx.pid)"']);
}
const startNginx = (lab: Lab, name: string): Promise<unknown> =>
  lab.host(name).run(['nginx', '-c', '/etc/nginx/lab.conf']);
