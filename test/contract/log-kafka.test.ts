import { after, before } from 'node:test'
import type { KafkaAdmin } from '#infra/kafka/admin.ts'
import type { KafkaClient } from '#infra/kafka/client.ts'
import { type RunningKafka, startKafka } from '#test/support/kafka-broker.ts'
import { adminOf, kafkaClientOf, openLog, planOf } from '#test/support/kafka-client.ts'
import { prepareKafka } from '#test/support/kafka-home.ts'
import { skipWithout } from '#test/support/optional-tool.ts'
import { logContract } from './log-suite.ts'

const home = await prepareKafka()
const skip = skipWithout(home)
let kafka: RunningKafka
let client: KafkaClient
let admin: KafkaAdmin

before(async () => {
  if (home.tool === null) return
  kafka = await startKafka(home.tool)
  client = await kafkaClientOf(kafka.brokers)
  admin = adminOf(client)
})
after(async () => {
  if (home.tool === null) return
  await admin.close()
  await kafka.close()
})

for (const mode of ['exact', 'at-least-once'] as const) {
  logContract(`Kafka, ${mode}`, { offsets: 'growing', skip }, async () => ({
    open: () => openLog(client, { mode }),
    makeTopic: async (name, partitions) => {
      const topic = `${mode}-${name}`
      await admin.createTopics([planOf(topic, partitions)])
      return topic
    },
    dispose: async () => {},
  }))
}
