import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startKafka } from './kafka-broker.ts'
import { prepareKafka } from './kafka-home.ts'

// A broker for people who try things out; its data stays in `.kafka/data` until somebody removes the folder.
const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '9092' },
    folder: { type: 'string', default: join(fileURLToPath(new URL('../../.kafka', import.meta.url)), 'data') },
  },
})
const { folder } = values
const port = Number(values.port)

const home = await prepareKafka()
if (home.tool === null) {
  process.stderr.write(`kafka: ${home.missing}\n`)
  process.exitCode = 1
} else {
  process.stderr.write('kafka: starting\n')
  const kafka = await startKafka(home.tool, { folder, port })
  process.stderr.write(`kafka: ready at ${kafka.brokers.join(', ')}, data in ${folder}; Ctrl-C stops it\n`)
  let isStopping = false
  const stop = (): void => {
    if (isStopping) return
    isStopping = true
    void kafka.stop()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
}
