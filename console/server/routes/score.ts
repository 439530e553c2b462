import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ScoreAnswer } from '#pipeline/gateway.ts'
import { WeirError } from '#schemas/errors.ts'
import { parseTransaction } from '#schemas/json-input.ts'
import type { ServicePorts } from '../ports.ts'

/** `POST /v1/score`: one transaction in, its durable decision out; `provisional: true` where that is still on its way. */
export function registerScore(app: FastifyInstance, ports: ServicePorts, timeoutMs: number): void {
  app.post('/v1/score', async (request, reply) => {
    const parsed = parseTransaction(withTime(request.body, ports))
    if (!parsed.ok) throw new WeirError('INPUT_INVALID', `field ${parsed.field}: ${parsed.problem}`)
    return sendAnswer(reply, await ports.score(parsed.value, timeoutMs))
  })
}

function sendAnswer(reply: FastifyReply, answer: ScoreAnswer): FastifyReply {
  switch (answer.kind) {
    case 'decided': {
      const { transaction, ...decision } = answer.decision
      return reply.send({ transaction_id: transaction.transaction_id, ...decision, repeated: answer.repeated })
    }
    case 'rejected':
      return reply.code(422).send({ code: answer.reason, message: answer.detail, where: answer.field })
    case 'conflict':
      return reply
        .code(409)
        .send({ code: 'CONFLICT', message: 'this transaction_id was used before for another transaction' })
    case 'busy':
      return reply
        .code(429)
        .header('Retry-After', '1')
        .send({ code: 'BUSY', message: 'more is waiting than can be taken; nothing was kept, try again' })
    case 'provisional':
      return reply.send({ ...answer.decision, score: null, provisional: true })
    case 'late':
      return reply.code(504).send({
        code: 'TIMEOUT',
        message: 'the transaction was taken but not decided in time; its decision follows on the log',
      })
  }
}

/** A transaction without an event_time happens now. */
export function withTime(body: unknown, ports: ServicePorts): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body) || 'event_time' in body) return body
  return { ...body, event_time: ports.now() }
}
