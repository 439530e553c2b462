import {
  cron,
  decimal,
  name,
  nameOrFile,
  oneOf,
  path,
  type Setting,
  secret,
  text,
  url,
  wholeNumber,
  words,
  yesNo,
} from './setting.ts'

/**
 * Every setting of Weir, in one tree: the first argument is the default, the last one says what the setting is and why
 * the default is what it is. `weir doctor` prints them all with their values and where each came from.
 *
 * Key `path.sliceRowsMax` is `path: { sliceRowsMax: ... }` in the file, WEIR_PATH_SLICE_ROWS_MAX in the environment and
 * `--set path.sliceRowsMax=...` on the command line.
 */
export const SETTINGS = {
  dataFolder: path(
    '.weir',
    'Holds log, checkpoints, tables, models and keys; in the working folder, so that trying Weir leaves nothing elsewhere.',
  ),
  logLevel: oneOf(
    'info',
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    'What is told on stderr; info is a few lines a minute.',
  ),
  tokenKeyFile: path(
    '',
    'Key that turns card numbers into tokens; by default token.key in the data folder, made at first start. Keep a backup: a new key breaks the link to the past.',
  ),

  log: {
    home: oneOf(
      'file',
      ['file', 'kafka'],
      'Where topics live: a file log in the data folder, which needs nothing and serves one machine, or Kafka, with standbys on others.',
    ),
    segmentBytesMax: wholeNumber(
      268_435_456,
      1_048_576,
      4_294_967_296,
      'A log file is closed at this size; 256 MiB is about half an hour at 1,000 events/s, so retention is even.',
    ),
    retentionDays: wholeNumber(
      400,
      1,
      36_500,
      'Closed log files are kept this long: training replays a year, and chargebacks take months.',
    ),
  },

  kafka: {
    brokers: words([], 'Brokers as host:port; a few are enough, the others are learnt from them.'),
    clientId: text('weir', 'What brokers call this process in their logs and quotas.'),
    role: name(
      'weir',
      /^[A-Za-z0-9._-]{1,100}$/,
      'letters, digits, dot, dash and underscore, at most 100',
      'Processes of one role share one journal: one of them decides, the others stand by. It is also the transactional id.',
    ),
    mode: oneOf(
      'exact',
      ['exact', 'at-least-once'],
      'exact: decisions become visible when their journal line does, in one transaction. at-least-once: without transactions, a few milliseconds sooner; after a crash some decisions may be sent a second time, equal to the first.',
    ),
    takeoverAfterMs: wholeNumber(
      5_000,
      200,
      600_000,
      'A standby takes over when the active process has been silent so long; a false alarm costs a moment and does no harm.',
    ),
    heartbeatMs: wholeNumber(
      1_000,
      50,
      60_000,
      'An idle active process shows a sign of life so often; at most a fifth of kafka.takeoverAfterMs.',
    ),
    transactionTimeoutMs: wholeNumber(
      10_000,
      1_000,
      900_000,
      'Brokers end a transaction that was left open so long; readers of committed records wait for it meanwhile.',
    ),
    connectTimeoutMs: wholeNumber(3_000, 100, 60_000, 'A connection to a broker is given up after this.'),
    requestTimeoutMs: wholeNumber(
      10_000,
      100,
      300_000,
      'A request to a broker is given up after this, and tried again.',
    ),
    topicPartitions: wholeNumber(
      12,
      1,
      10_000,
      'Partitions that `weir topics create` gives transactions and labels; one process reads them all, more let more producers write. What Weir writes has one partition a topic, so that it keeps its order.',
    ),
    topicReplicas: wholeNumber(
      0,
      0,
      100,
      "Copies of every partition that `weir topics create` asks for; 0: the brokers' own default. From 3 on, two must confirm every write.",
    ),
    topicRetentionDays: wholeNumber(
      14,
      1,
      36_500,
      'Retention of the topics that `weir topics create` makes; it must reach behind the oldest checkpoint, and spare a long weekend besides.',
    ),
    tls: {
      enabled: yesNo(false, 'Speak TLS to the brokers.'),
      caFile: path('', 'Authorities to trust, PEM; by default those that Node trusts.'),
      certFile: path('', "This process's certificate, PEM, where brokers ask for one."),
      keyFile: path('', 'Private key of that certificate, PEM.'),
      keyPassword: secret('Password of that key.'),
      servername: text('', 'Name in the certificates of the brokers, where it is not the one that is connected to.'),
    },
    sasl: {
      mechanism: oneOf(
        'none',
        ['none', 'plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'],
        'How this process proves who it is; PLAIN sends the password, so use it over TLS only.',
      ),
      username: text('', 'Name for PLAIN and SCRAM.'),
      password: secret('Password for PLAIN and SCRAM; better in a file.'),
      passwordFile: path('', 'File with that password.'),
      tokenFile: path('', 'File with the token for OAUTHBEARER; read anew at every authentication.'),
    },
  },

  topics: {
    transactions: topic('transactions', 'Input: transactions.'),
    labels: topic('labels', 'Input: what was learnt later of a transaction.'),
    decisions: topic('decisions', 'Output: one decision for every accepted transaction.'),
    alerts: topic('alerts', 'Output: flagged transactions with their reasons.'),
    deadLetters: topic('transactions.dead-letter', 'Output: records that could not be taken, with the reason.'),
    journal: topic('journal', 'What was folded, in which order; one partition.'),
  },

  api: {
    enabled: yesNo(true, 'Serve the HTTP API and the page.'),
    host: text('127.0.0.1', 'Address to listen on; loopback, so that nobody else reaches it unasked.'),
    port: wholeNumber(8_787, 0, 65_535, 'Port to listen on; 0 takes any free one.'),
    hostNames: words(
      [],
      'Further host names under which the service may be called, behind a proxy say; others are refused, against rebinding of names.',
    ),
    tokenFile: path(
      '',
      'Holds the bearer token; by default api.token in the data folder, made at first start with mode 0600.',
    ),
    scoreTimeoutMs: wholeNumber(
      1_000,
      1,
      60_000,
      'POST /v1/score gives up waiting after this; payment networks allow one to two seconds in all.',
    ),
    provisional: yesNo(
      false,
      'After scoreTimeoutMs answer with what rules and lists alone say, marked provisional, rather than with an error; off, since a caller must know to look for the final decision on the log.',
    ),
    overload: yesNo(
      true,
      'While requests wait more than half of scoreTimeoutMs, rules decide alone until they are quick again: an answer without a score is worth more than none.',
    ),
    bodyBytesMax: wholeNumber(
      16_777_216,
      1_024,
      268_435_456,
      'Largest request body; 16 MiB takes 10,000 events in JSON.',
    ),
    queueRowsMax: wholeNumber(
      20_000,
      1,
      1_000_000,
      'Requests waiting for the path; a third of a second at full speed, beyond it the answer is 429.',
    ),
  },

  path: {
    spec: nameOrFile(
      'default',
      ['default', 'lean'],
      '.json',
      'Which features are computed: default (card, account, merchant, habits), lean (card and merchant, twice as fast), or a spec of your own.',
    ),
    sliceRowsMax: wholeNumber(2_048, 16, 16_384, 'Rows in one slice; larger ones gain no speed and make others wait.'),
    deduplicateIds: wholeNumber(
      4_000_000,
      1_024,
      268_435_456,
      'Accepted ids remembered, to drop repeats; 64 MB for 4 million, an hour at 1,000 events/s.',
    ),
    deadLettersInARowMax: wholeNumber(
      10_000,
      1,
      1_000_000_000,
      'So many dead letters without one good record between stop the service: then it is not a bad record, but a wrong topic or schema.',
    ),
    guard: {
      idBytesMax: wholeNumber(128, 16, 1_024, 'Longest id, in UTF-8 bytes; twice what any network uses.'),
      amountBaseMax: wholeNumber(
        10_000_000_000_000,
        1,
        1_000_000_000_000_000,
        'Largest amount, in minor units of the base currency; sums of a month stay exact.',
      ),
      aheadMs: wholeNumber(
        86_400_000,
        0,
        2_592_000_000,
        'How far ahead of the clock an event may lie; one day forgives time zones, no more.',
      ),
    },
    checkpointIntervalMs: wholeNumber(
      60_000,
      100,
      86_400_000,
      'Time between two checkpoints; a restart folds at most this much input again, a second or so.',
    ),
    checkpointsKept: wholeNumber(2, 1, 100, 'Checkpoints kept; the second is there if the first is damaged.'),
    explainedPerSliceMax: wholeNumber(
      4,
      0,
      1_024,
      'Alerts of one slice whose reasons are computed at once, 1 to 2 ms each; the others when somebody looks.',
    ),
  },

  model: {
    provider: oneOf(
      'auto',
      ['auto', 'cpu', 'cuda'],
      'Where models run; auto takes CUDA where it loads, else the CPU, which is quick enough for models of this size.',
    ),
    precision: oneOf(
      'auto',
      ['auto', 'int8', 'float32'],
      'Numbers of the recurrence in newly trained models: 8-bit integers score twice as fast on a CPU and have no kernel on a GPU; auto takes float32 where CUDA loads, else int8 unless it ranks worse.',
    ),
    registryFolder: path('', 'Model versions and who is in charge; by default models in the data folder.'),
    trainingBackend: oneOf(
      'auto',
      ['auto', 'native', 'wasm'],
      'What training runs on; auto takes native TensorFlow where `make native` was run, else WebAssembly, which needs nothing.',
    ),
  },

  rules: {
    file: path('', 'Rules beside the model; by default the ones that ship with Weir.'),
  },
  lists: {
    file: path(
      '',
      'Block, allow and watch lists; by default lists.yaml in the data folder, and none where there is no such file.',
    ),
  },
  rates: {
    file: path('', 'Currency rates; by default the ones that ship with Weir.'),
  },

  threshold: {
    mode: oneOf(
      'budget',
      ['budget', 'cost', 'fixed'],
      'How a score becomes a verdict: so many alerts a day, the cheapest action, or fixed limits. A budget needs no figures of the business, so it is first.',
    ),
    alertsPerDay: wholeNumber(
      100,
      1,
      1_000_000,
      'Mode budget: alerts for review a day; two analysts manage about a hundred.',
    ),
    causeShareMax: decimal(
      0.3,
      0.01,
      1,
      "Most of a day's budget that one merchant, address or device may use, so that one attack does not blind the desk to the rest.",
    ),
    fixed: {
      review: decimal(0.2, 0, 1, 'Mode fixed: review from this probability of fraud.'),
      decline: decimal(0.9, 0, 1, 'Decline from this probability of fraud; in mode fixed only.'),
    },
    cost: {
      recoveryShare: decimal(
        0.2,
        0,
        1,
        "Mode cost: part of a fraud's amount that comes back (representment, merchant's liability).",
      ),
      liabilityShare: decimal(1, 0, 1, "Mode cost: part of a fraud's amount that is ours to bear."),
      liabilityAfter3ds: decimal(
        0.1,
        0,
        1,
        'Mode cost: that part where 3-D Secure was passed and liability shifted to the issuer.',
      ),
      reviewCost: wholeNumber(
        500,
        0,
        1_000_000_000,
        'Mode cost: one review, minor units of the base currency; ten minutes of an analyst.',
      ),
      challengeCost: wholeNumber(
        20,
        0,
        1_000_000_000,
        'Mode cost: one challenge (3-D Secure), minor units of the base currency.',
      ),
      challengeLossShare: decimal(0.1, 0, 1, 'Mode cost: part of good sales that are given up when challenged.'),
      goodSaleMargin: decimal(0.05, 0, 1, "Mode cost: part of a good sale's amount that is lost when it is declined."),
      goodSaleCost: wholeNumber(
        300,
        0,
        1_000_000_000,
        'Mode cost: what annoying a good customer costs besides, minor units of the base currency.',
      ),
    },
  },

  exploration: {
    share: decimal(
      0,
      0,
      0.1,
      'Part of the events below the review threshold that are reviewed all the same, so that labels are not only those the model asked for; off, since it costs review time.',
    ),
    declinedShare: decimal(
      0,
      0,
      0.1,
      'Part of the events above the decline threshold that are let through to learn from them; off, since it costs money.',
    ),
    lossMaxPerDay: wholeNumber(
      0,
      0,
      1_000_000_000_000,
      'Most that may be let through in a day that way, minor units of the base currency.',
    ),
    seed: secret('Secret that the choice is made with; without it, one is derived from the token key.'),
  },

  recorder: {
    port: wholeNumber(0, 0, 65_535, 'Port at which `weir record` tells metrics and health; 0 takes any free one.'),
    inService: yesNo(
      true,
      'The service fills the tables itself; false where `weir record` does it in a process, or on a machine, of its own.',
    ),
    rowsMax: wholeNumber(
      10_000,
      1,
      100_000,
      'Rows in one block; each is a new part for ClickHouse to merge, and embedded it is busy for about 0.2 s with one of this size.',
    ),
    intervalMs: wholeNumber(
      1_000,
      10,
      600_000,
      "A block is closed after this time on the journal's clock; tables are a second behind.",
    ),
  },

  clickhouse: {
    home: oneOf(
      'embedded',
      ['embedded', 'server'],
      'Embedded in a process of our own, which needs nothing, or a server.',
    ),
    url: url('http://127.0.0.1:8123', 'Home server: its HTTP address; https:// for TLS.'),
    user: text('default', 'Home server: user who fills the tables; give it the role weir_writer.'),
    password: secret(
      'Home server: password of the user. The environment is a better place for it than a file that is passed on.',
    ),
    passwordFile: path('', 'Home server: file with the password instead; a file, so that it is in no process list.'),
    readUser: text(
      '',
      'Home server: who asks the questions of people, with the role weir_desk, so that the server itself allows nothing but reading; by default clickhouse.user, held to reading by each query.',
    ),
    readPassword: secret('Home server: password of clickhouse.readUser.'),
    readPasswordFile: path('', 'Home server: file with that password instead.'),
    caFile: path(
      '',
      "Home server: authorities to trust, PEM, where the server's certificate is signed by none that Node trusts.",
    ),
    requestTimeoutMs: wholeNumber(
      30_000,
      100,
      600_000,
      'Home server: a request without a whole answer after this has failed and is sent again; a block takes well below a second.',
    ),
    cluster: text(
      '',
      'Home server: name of a cluster, to make replicated tables on every shard with Distributed ones over them; empty for one server.',
    ),
  },

  registry: {
    home: oneOf(
      'built-in',
      ['built-in', 'folder', 'server'],
      "Where schemas and their ids come from: the ones that ship with Weir, a folder, or a server with the Confluent REST API. Built-in needs nothing and reads what Weir writes; the ids of a topic that others share are the registry's.",
    ),
    url: url(
      'http://127.0.0.1:8081',
      'Home server: its address, with the path below which the API lies, if it does not lie at the root. For TLS with a private authority start Node with NODE_EXTRA_CA_CERTS.',
    ),
    folder: path('', 'Home folder: by default schemas in the data folder.'),
    user: text('', 'Home server: user for basic authentication; empty where there is none, or a bearer token instead.'),
    password: secret(
      'Home server: password of the user; without a user it is sent as a bearer token. The environment is a better place for it than a file that is passed on.',
    ),
    passwordFile: path(
      '',
      'Home server: file with the password or token instead, read anew for every request, so that one that is replaced in time keeps working.',
    ),
    register: yesNo(
      true,
      'Registers the schemas of what Weir writes at start, where they are not there yet; with false they must be (`weir schemas register`), which is what a registry with review asks for.',
    ),
    timeoutMs: wholeNumber(
      5_000,
      10,
      120_000,
      'Home server: a request that takes longer has failed; a schema is a few kilobytes.',
    ),
    attemptsMax: wholeNumber(
      5,
      1,
      100,
      'Home server: how often a request is tried, with growing pauses, before the fault is passed on; five take about two seconds where nothing listens.',
    ),
    unknownIdMs: wholeNumber(
      60_000,
      0,
      86_400_000,
      'So long it is believed that there is no schema of an id; within this time records with it are dead letters without asking again.',
    ),
  },

  retrain: {
    enabled: yesNo(false, 'Train on a schedule while the service runs; off until labels arrive.'),
    schedule: cron('0 3 * * *', 'When, as a cron expression in UTC; at night.'),
    cooldownHours: wholeNumber(20, 0, 8_760, 'No second training within this time, whatever asks for it.'),
    maturityDays: wholeNumber(
      30,
      1,
      400,
      'Age at which a transaction without a fraud report counts as genuine; nine tenths of the reports are in by then.',
    ),
    testDays: wholeNumber(
      14,
      1,
      400,
      'Newest mature days on which candidate, champion and rules are compared; two weeks hold each weekday twice.',
    ),
    trainingDays: wholeNumber(
      365,
      7,
      4_000,
      'Days before those to train on; at least a year of seasons where there is one.',
    ),
    frauds: wholeNumber(200, 10, 1_000_000, 'Fewest known frauds in the training days; below, a network learns noise.'),
    seed: wholeNumber(1, 0, 4_294_967_295, 'Same data, seed and backend: same model.'),
  },
} as const

function topic(fallback: string, about: string): Setting<string> {
  return name(fallback, /^[\w.-]{1,200}$/, 'letters, digits, dot, dash and underscore', about)
}
