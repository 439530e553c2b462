import { createClient } from '@clickhouse/client'
import { createChdbConnection } from 'chdb/connection'
import { mkdtempSync, rmSync } from 'node:fs'
import { Readable } from 'node:stream'
const dir = mkdtempSync('/tmp/ch/db-')
const conn = createChdbConnection({ path: dir })
const w = createClient({ connection: conn as any })
const text = async (c: any, sql: string, f = 'CSV') => { try { const r = await c.query({ query: sql, format: f }); return JSON.stringify((await r.text())).slice(0, 100) } catch (e: any) { return 'ERR ' + e.code + ' ' + e.message.slice(0, 200) } }
console.log(await text(w, 'SELECT number, throwIf(number=90000) FROM numbers(100000)'))
console.log(await text(w, 'SELECT 1'))
console.log(await text(w, 'SELECT 1'))
const LC = 'LowCardinality(String)'
const cols: [string, string][] = [['line','UInt64'],['`index`','UInt32'],['transaction_id','String'],['event_time',"DateTime64(3,'UTC')"],['card_id','String'],['amount','Int64'],['currency',LC],['kind',LC],['original_id','String'],['account_id','String'],['merchant_id','String'],['terminal_id','String'],['merchant_category',LC],['channel',LC],['entry_mode',LC],['country',LC],['merchant_country',LC],['latitude','Nullable(Float64)'],['longitude','Nullable(Float64)'],['device_id','String'],['ip_prefix','String'],['email_hash','String'],['bin',LC],['avs',LC],['cvv',LC],['three_ds',LC],['recurring','Bool'],['response_code',LC],['attributes',`Map(${LC},String)`],['signals',`Map(${LC},Float64)`],['amount_base','Int64'],['score','Nullable(Float32)'],['threshold','Nullable(Float32)'],['verdict',LC],['rule_hits',`Array(${LC})`],['shadow_hits',`Array(${LC})`],['list_hits',`Array(${LC})`],['model_version',LC],['rules_version',LC],['spec_hash',LC],['input_hash','String'],['degraded',LC],['explored','Nullable(Float32)'],['scored_at',"DateTime64(3,'UTC')"]]
await w.command({ query: 'CREATE DATABASE weir' })
const mk = async (name: string, extra = '') => w.command({ query: `CREATE TABLE weir.${name} (${cols.map(c => c.join(' ')).join(', ')} ${extra}) ENGINE=ReplacingMergeTree PARTITION BY toYYYYMM(scored_at) ORDER BY (line, \`index\`) SETTINGS non_replicated_deduplication_window=1000` })
await mk('a')
await mk('b', ', INDEX et event_time TYPE minmax GRANULARITY 1, INDEX ci card_id TYPE bloom_filter GRANULARITY 1, INDEX mi merchant_id TYPE bloom_filter GRANULARITY 1, INDEX di device_id TYPE bloom_filter GRANULARITY 1, INDEX ti transaction_id TYPE bloom_filter GRANULARITY 1')
await mk('c')
const mv = async (k: string, src: string) => {
  await w.command({ query: `CREATE TABLE weir.h_${k} (hour DateTime('UTC'), k String, events SimpleAggregateFunction(sum, UInt64), declined SimpleAggregateFunction(sum, UInt64), tiny SimpleAggregateFunction(sum, UInt64), flagged SimpleAggregateFunction(sum, UInt64), amount SimpleAggregateFunction(sum, Int64) ${k==='merchant_id'?', cards AggregateFunction(uniq, String)':''}) ENGINE=AggregatingMergeTree ORDER BY (k, hour) SETTINGS non_replicated_deduplication_window=1000` })
  await w.command({ query: `CREATE MATERIALIZED VIEW weir.h_${k}_mv TO weir.h_${k} AS SELECT toStartOfHour(event_time) AS hour, ${k} AS k, count() AS events, countIf(response_code NOT IN ('','00','10','85')) AS declined, countIf(amount_base < 200) AS tiny, countIf(verdict NOT IN ('none','approve')) AS flagged, sum(amount_base) AS amount ${k==='merchant_id'?', uniqState(card_id) AS cards':''} FROM weir.${src} WHERE kind IN ('authorization','verification') AND ${k} != '' GROUP BY hour, k` })
}
for (const k of ['merchant_id','device_id','card_id','model_version']) await mv(k, 'c')
const N = 5000
function block(b: number) {
  let s = ''
  for (let i = 0; i < N; i++) {
    const n = b * N + i, t = 1767225600000 + n * 50, c = (n * 7919) % 50000, m = (n * 104729) % 5000
    s += `${Math.floor(n / 100)}\t${n % 100}\tt${n.toString(36)}xk3j2h1\t${t / 1000}\ttk_${c}Xh3k2L9sQwErTyUiOpAsD\t${n % 99999}\tEUR\tauthorization\t\taccount_${c}\tmerchant_${m}\tterminal_${m}\t5411\tECOM\tECOM\tDE\tDE\t48.${n % 10000}\t11.${n % 9999}\tdevice_${c}\t10.${c % 250}.3.0\te${(n*7919).toString(16)}a8b7c6d5e4f3a2b1\t411111\tY\tM\tY\tfalse\t00\t{'segment':'a','wallet':'none'}\t{'ip_risk':0.${n % 997}}\t${n % 99999}\t0.0${n % 9973}\t0.5\tapprove\t[]\t['shadow_a']\t[]\tlstm-2026-01-01\tr-abcdef\t0123456789abcdef\t${(n * 2654435761 % 2 ** 32).toString(16).padStart(8, '0')}${(n * 40503 % 2 ** 32).toString(16).padStart(8, '0')}\t\t\\N\t${t / 1000}\n`
  }
  return s
}
const blocks = Array.from({ length: 12 }, (_, b) => block(b))
console.log('bytes/row', blocks[0]!.length / N)
async function run(name: string, f: (b: string, i: number) => Promise<unknown>) {
  const t = performance.now(); let maxBlock = 0
  let last = performance.now(); const tick = setInterval(() => { const n = performance.now(); maxBlock = Math.max(maxBlock, n - last); last = n }, 5)
  for (let i = 0; i < blocks.length; i++) await f(blocks[i]!, i)
  clearInterval(tick)
  const dt = performance.now() - t
  console.log(name, Math.round(blocks.length * N / dt * 1000), 'rows/s', Math.round(dt / blocks.length), 'ms/block', 'loop blocked max', Math.round(maxBlock), 'rss', Math.round(process.memoryUsage().rss / 1e6))
}
const S = (tok: string) => ({ insert_deduplication_token: tok, async_insert: 0 as const, insert_deduplicate: 1 as const, deduplicate_blocks_in_dependent_materialized_views: 1 as const })
for (let rep = 0; rep < 2; rep++) {
await run('client a', (b, i) => w.insert({ table: 'weir.a', format: 'TabSeparated', values: Readable.from([b], { objectMode: false }), clickhouse_settings: S('a' + rep + i) }))
const bufs = blocks.map((b) => Buffer.from(b))
await run('raw a', (_b, i) => (conn as any).chdb.rawInsert({ table: 'weir.a', format: 'TabSeparated', data: bufs[i], values: bufs[i], settings: S('ra' + rep + i) }))
await run('client b idx', (b, i) => w.insert({ table: 'weir.b', format: 'TabSeparated', values: Readable.from([b], { objectMode: false }), clickhouse_settings: S('b' + rep + i) }))
await run('client c mv', (b, i) => w.insert({ table: 'weir.c', format: 'TabSeparated', values: Readable.from([b], { objectMode: false }), clickhouse_settings: S('c' + rep + i) }))
await run('raw c mv', (b, i) => (conn as any).chdb.rawInsert({ table: 'weir.c', format: 'TabSeparated', data: bufs[i], values: bufs[i], settings: S('rc' + rep + i) }))
}
console.log(await text(w, 'SELECT count() FROM weir.a'), await text(w, 'SELECT count() FROM weir.c'), await text(w, 'SELECT sum(events) FROM weir.h_merchant_id'))
await w.close(); rmSync(dir, { recursive: true })
