import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { KafkaHome } from './kafka-home.ts'

const SOURCE = fileURLToPath(new URL('KafkaJavaClient.java', import.meta.url))

/** Runs Kafka's own client; gives the lines it prints. */
export async function runJavaClient(home: KafkaHome, args: readonly string[]): Promise<string[]> {
  const jvm = ['-Xmx128m', '-XX:TieredStopAtLevel=1', `-Dlog4j2.configurationFile=${home.log4j}`]
  const { stdout } = await promisify(execFile)('java', [...jvm, '-cp', home.classPath, SOURCE, ...args], {
    maxBuffer: 16_777_216,
  })
  return stdout.split('\n').filter((line) => line !== '' && !/^\d{4}-\d\d-\d\d /.test(line))
}
