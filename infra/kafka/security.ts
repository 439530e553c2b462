import { readFile } from 'node:fs/promises'
import { type ConnectionOptions, createSecureContext } from 'node:tls'
import type { Mechanism, SASLOptions } from 'kafkajs'
import { WeirError } from '#schemas/errors.ts'

/** Paths are empty where there is no such file. */
export interface KafkaTls {
  /** Authorities to trust, PEM; empty: those that Node trusts. */
  readonly caFile: string
  /** This process's certificate and key, PEM, where brokers ask for one. */
  readonly certFile: string
  readonly keyFile: string
  readonly keyPassword: string
  /** Name that a broker's certificate must carry, where it is not the name that is connected to. */
  readonly servername: string
}

export type KafkaSasl =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
      readonly username: string
      /** Exactly one of the two is not empty. */
      readonly password: string
      readonly passwordFile: string
    }
  | {
      readonly mechanism: 'oauthbearer'
      /** Read at every authentication: whoever renews the token writes it there. */
      readonly tokenFile: string
    }

/** @throws WeirError CONFIG_INVALID naming the file, never what is in it */
export async function readTls(tls: KafkaTls): Promise<ConnectionOptions> {
  const [ca, cert, key] = await Promise.all([
    readOptional(tls.caFile, 'kafka.tls.caFile'),
    readOptional(tls.certFile, 'kafka.tls.certFile'),
    readOptional(tls.keyFile, 'kafka.tls.keyFile'),
  ])
  const options: ConnectionOptions = {
    ...(ca !== null && { ca }),
    ...(cert !== null && { cert }),
    ...(key !== null && { key }),
    ...(tls.keyPassword !== '' && { passphrase: tls.keyPassword }),
    ...(tls.servername !== '' && { servername: tls.servername }),
  }
  try {
    createSecureContext(options)
  } catch (error) {
    throw new WeirError('CONFIG_INVALID', `certificate and key cannot be used: ${codeOf(error)}`, {
      where: [tls.caFile, tls.certFile, tls.keyFile].filter((file) => file !== '').join(', '),
      fix: 'Give PEM files, the key that belongs to the certificate, and its password if it has one.',
    })
  }
  return options
}

/** @throws WeirError CONFIG_INVALID naming the file, never what is in it */
export async function readSasl(sasl: KafkaSasl): Promise<SASLOptions | Mechanism> {
  if (sasl.mechanism === 'oauthbearer') {
    await readSecret(sasl.tokenFile, 'kafka.sasl.tokenFile')
    return bearerTokens(() => readSecret(sasl.tokenFile, 'kafka.sasl.tokenFile'))
  }
  const { mechanism, username } = sasl
  const password =
    sasl.passwordFile === '' ? sasl.password : await readSecret(sasl.passwordFile, 'kafka.sasl.passwordFile')
  if (username === '' || password === '') {
    throw new WeirError('CONFIG_INVALID', `${mechanism} needs a user and a password`, {
      where: username === '' ? 'kafka.sasl.username' : 'kafka.sasl.password',
      fix: 'Set both; the password better in a file or the environment than in the configuration.',
    })
  }
  return { mechanism, username, password } as SASLOptions
}

/**
 * OAUTHBEARER, RFC 7628 section 3.1. kafkajs has it too, but does not look at the answer: a token that was refused shows
 * there as an error document, and without it as connections that close for no reason.
 */
function bearerTokens(readToken: () => Promise<string>): Mechanism {
  return {
    mechanism: 'oauthbearer',
    authenticationProvider: ({ saslAuthenticate }) => ({
      async authenticate() {
        const message = Buffer.from(`n,,\u0001auth=Bearer ${await readToken()}\u0001\u0001`)
        const size = Buffer.alloc(4)
        size.writeInt32BE(message.length)
        await saslAuthenticate({
          request: { encode: () => Buffer.concat([size, message]) },
          response: { decode: (answer) => answer, parse: expectNoComplaint },
        })
      },
    }),
  }
}

/** The answer's size, then nothing, or a document that says why not. */
function expectNoComplaint(answer: Buffer): void {
  const complaint = answer.subarray(4)
  if (complaint.length === 0) return
  const status = /"status"\s*:\s*"(\w+)"/.exec(complaint.toString())?.[1] ?? 'no reason given'
  throw new LoginRefused(`the token was refused: ${status}`)
}

/** Named as kafkajs names a password that was refused, and not to be tried again by it. */
class LoginRefused extends Error {
  override readonly name = 'KafkaJSSASLAuthenticationError'
  readonly retriable = false
}

async function readOptional(file: string, key: string): Promise<string | null> {
  return file === '' ? null : readText(file, key)
}

async function readSecret(file: string, key: string): Promise<string> {
  const secret = (await readText(file, key)).trim()
  if (secret !== '') return secret
  throw new WeirError('CONFIG_INVALID', `the file of ${key} is empty`, { where: file })
}

async function readText(file: string, key: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new WeirError('CONFIG_INVALID', `the file of ${key} cannot be read: ${codeOf(error)}`, {
      where: file === '' ? key : file,
    })
  }
}

/** OpenSSL's and the system's codes; their sentences may quote what they read. */
function codeOf(error: unknown): string {
  return (error as { readonly code?: string }).code ?? 'unknown reason'
}
