import type { FastifyReply } from 'fastify'
import { maskCardNumbers } from '#schemas/card-number.ts'
import { type ErrorCode, WeirError } from '#schemas/errors.ts'

/** What a caller can do something about, by HTTP status; every other code is 500, or 503 where a retry may help. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  USAGE: 400,
  INPUT_INVALID: 422,
  QUERY_INVALID: 422,
  RULES_INVALID: 422,
  LISTS_INVALID: 422,
  MODEL_INVALID: 422,
  MODEL_NOT_FOUND: 404,
  INPUT_NOT_FOUND: 404,
  FORBIDDEN: 403,
  NOT_AVAILABLE: 409,
  LOG_CLOSED: 503,
}

/** Answers with code, sentence, place and fix; never with what was sent, and with no card number in any of them. */
export function replyError(reply: FastifyReply, error: unknown): FastifyReply {
  if (error instanceof WeirError) {
    const status = STATUS[error.code] ?? (error.retryable ? 503 : 500)
    return reply.code(status).send({
      code: error.code,
      message: maskCardNumbers(error.message),
      where: maskCardNumbers(error.where),
      fix: maskCardNumbers(error.fix),
    })
  }
  const { statusCode, code } = error as { readonly statusCode?: number; readonly code?: string }
  if (statusCode !== undefined && statusCode < 500) {
    return reply
      .code(statusCode)
      .send({ code: 'USAGE', message: USAGE_TEXT[code ?? ''] ?? 'the request cannot be read' })
  }
  return reply
    .code(500)
    .send({ code: 'INVARIANT', message: 'something unexpected went wrong; the log has the details' })
}

const USAGE_TEXT: Readonly<Record<string, string>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'the request body is too large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'send application/json or application/x-ndjson',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'the request body is empty',
  FST_ERR_CTP_INVALID_JSON_BODY: 'the request body is not valid JSON',
}
