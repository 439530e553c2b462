import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { programRoot } from '#infra/assets.ts'
import type { Optional } from './optional-tool.ts'

export const KAFKA_VERSION = '4.4.0'
const LOG4J_VERSION = '2.25.3'
const FOLDER = join(programRoot(), '.kafka')
const HOME = join(FOLDER, `broker-${KAFKA_VERSION}`)
const JAVA_MIN = 17
const FETCH_MS_MAX = 600_000

/** Where an Apache Kafka lies that was fetched from Maven Central. */
export interface KafkaHome {
  /** For `java -cp`. */
  readonly classPath: string
  readonly log4j: string
  /** Classes in the form the JVM likes to start from; made by the first broker that ends in order. */
  readonly classArchive: string
}

/** Apache Kafka, from Maven Central, kept in `.kafka` (43 MB): fetched when it is not there yet. */
export async function prepareKafka(): Promise<Optional<KafkaHome>> {
  const run = promisify(execFile)
  try {
    const { stderr } = await run('java', ['-version'])
    const major = Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0)
    if (major < JAVA_MIN) return missing(`Java ${JAVA_MIN} is needed, this is ${major}`)
  } catch {
    return missing('no Java')
  }
  if (!existsSync(HOME)) {
    mkdirSync(FOLDER, { recursive: true })
    const fresh = mkdtempSync(join(FOLDER, '.fetch-'))
    try {
      writeFileSync(join(fresh, 'pom.xml'), POM)
      writeFileSync(join(fresh, 'log4j2.xml'), LOG4J)
      const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=lib']
      await run('mvn', ['-q', '-B', ...goal], { cwd: fresh, timeout: FETCH_MS_MAX })
      renameSync(fresh, HOME)
    } catch (error) {
      // Somebody else may have been faster.
      if (!existsSync(HOME)) return missing(`mvn failed: ${error instanceof Error ? error.message.slice(0, 300) : ''}`)
    } finally {
      rmSync(fresh, { recursive: true, force: true })
    }
  }
  return {
    tool: {
      classPath: join(HOME, 'lib', '*'),
      log4j: join(HOME, 'log4j2.xml'),
      classArchive: join(HOME, 'classes.jsa'),
    },
    missing: null,
  }
}

function missing(why: string): Optional<KafkaHome> {
  return { tool: null, missing: `no Kafka broker to test against (${KAFKA_VERSION} from Maven Central): ${why}` }
}

const dependency = (group: string, artifact: string, version: string): string =>
  `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>weir</groupId><artifactId>broker</artifactId><version>1</version>
<dependencies>
${dependency('org.apache.kafka', 'kafka_2.13', KAFKA_VERSION)}
${dependency('org.apache.logging.log4j', 'log4j-slf4j-impl', LOG4J_VERSION)}
${dependency('org.apache.logging.log4j', 'log4j-core', LOG4J_VERSION)}
</dependencies></project>
`

/** Warnings, and the one line that says that the broker is ready. */
const LOG4J = `<Configuration status="ERROR"><Appenders><Console name="out"><PatternLayout pattern="%d %p %m (%c)%n"/></Console></Appenders>
<Loggers><Root level="WARN"><AppenderRef ref="out"/></Root><Logger name="kafka.server.KafkaRaftServer" level="INFO"/></Loggers>
</Configuration>
`
