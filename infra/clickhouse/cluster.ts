import { WeirError } from '#schemas/errors.ts'

/** Each server's own part of the tables; `weir` holds what spans the cluster. */
export const LOCAL_DATABASE = 'weir_local'

/**
 * A statement of the migrations as a cluster needs it, run once on any of its servers: tables are replicated and lie in
 * `weir_local` on every shard, and under their own names in `weir` stand Distributed tables over them, so that queries and
 * inserts are the same as on one server. Feeds stay within their shard. Rows go to shards by the first column that a table is
 * sorted by, so that a row that comes again meets itself.
 *
 * @throws WeirError INVARIANT for a form of statement that migrations must not have
 */
export function forCluster(statement: string, cluster: string): readonly string[] {
  for (const { form, render } of FORMS) {
    const match = form.exec(statement)
    if (match !== null) return render(statement, match, `ON CLUSTER ${quoted(cluster)}`, cluster)
  }
  throw new WeirError('INVARIANT', `no form for a cluster: ${statement.slice(0, 60)}`, {
    fix: 'Add the form to infra/clickhouse/cluster.ts.',
  })
}

/** Both databases. */
export function clusterDatabases(cluster: string): readonly string[] {
  return ['weir', LOCAL_DATABASE].map(
    (database) => `CREATE DATABASE IF NOT EXISTS ${database} ON CLUSTER ${quoted(cluster)}`,
  )
}

interface Form {
  readonly form: RegExp
  readonly render: (statement: string, match: RegExpExecArray, onCluster: string, cluster: string) => readonly string[]
}

const FORMS: readonly Form[] = [
  {
    form: /^CREATE TABLE (IF NOT EXISTS )?weir\.(\w+)/,
    render(statement, [head, , table], onCluster, cluster) {
      const sorted = /\bORDER BY \(?`?(\w+)/.exec(statement)?.[1]
      if (sorted === undefined || !/\bENGINE = (Replacing|Summing)?MergeTree\b/.test(statement)) {
        throw new WeirError('INVARIANT', `weir.${table} has no engine and order that a cluster knows`)
      }
      const own = local(head)
      const body = statement
        .slice(head.length)
        .replace(/\bENGINE = (\w+)/, 'ENGINE = Replicated$1')
        .replace('non_replicated_deduplication_window', 'replicated_deduplication_window')
      return [
        `${own} ${onCluster}${body}`,
        `CREATE TABLE IF NOT EXISTS weir.${table} ${onCluster} AS ${LOCAL_DATABASE}.${table} ENGINE = Distributed(${quoted(cluster)}, '${LOCAL_DATABASE}', '${table}', cityHash64(${sorted}))`,
      ]
    },
  },
  {
    form: /^CREATE MATERIALIZED VIEW (IF NOT EXISTS )?weir\.\w+/,
    render: (statement, [head], onCluster) => [`${local(head)} ${onCluster}${local(statement.slice(head.length))}`],
  },
  {
    form: /^CREATE (OR REPLACE )?VIEW (IF NOT EXISTS )?weir\.\w+/,
    render: (statement, [head], onCluster) => [`${head} ${onCluster}${statement.slice(head.length)}`],
  },
  {
    form: /^ALTER TABLE weir\.\w+(?= MODIFY SETTING )/,
    render: (statement, [head], onCluster) => [
      `${local(head)} ${onCluster}${statement.slice(head.length).replace('non_replicated_dedup', 'replicated_dedup')}`,
    ],
  },
  {
    form: /^ALTER TABLE weir\.\w+(?= (ADD|DROP|MODIFY) COLUMN )/,
    render: (statement, [head], onCluster) =>
      [local(head), head].map((altered) => `${altered} ${onCluster}${statement.slice(head.length)}`),
  },
  {
    form: /^DROP (TABLE|VIEW) IF EXISTS weir\.\w+$/,
    render: (statement, _match, onCluster) =>
      [statement, local(statement)].map((dropped) => `${dropped} ${onCluster} SYNC`),
  },
  {
    // Reads and writes all shards by itself.
    form: /^INSERT INTO weir\.\w+\s+SELECT\b/,
    render: (statement) => [`${statement}\nSETTINGS distributed_foreground_insert = 1`],
  },
]

function local(text: string | undefined): string {
  return (text ?? '').replaceAll(/\bweir\./g, `${LOCAL_DATABASE}.`)
}

function quoted(name: string): string {
  return `'${name.replaceAll(/[\\']/g, '\\$&')}'`
}
