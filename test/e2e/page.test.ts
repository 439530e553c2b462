import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import type { Browser, Page } from 'playwright-core'
import { createApi } from '#console/server/app.ts'
import { fakePorts, figuresOf } from '#test/support/fake-ports.ts'
import { launchBrowser, skipWithoutBrowser } from '#test/support/browser.ts'

const WEB = new URL('../../dist/web', import.meta.url).pathname

describe('the live page in a real browser', { skip: skipWithoutBrowser() }, () => {
  let browser: Browser
  let app: FastifyInstance
  let address: string
  const problems: string[] = []

  async function serve(port: number): Promise<void> {
    app = await createApi({
      ports: fakePorts({ live: () => figuresOf() }),
      token: 'page-token',
      tokenName: 'api.token',
      webFolder: WEB,
      scoreTimeoutMs: 100,
      bodyBytesMax: 1_000_000,
      hosts: [],
    })
    address = await app.listen({ port, host: '127.0.0.1' })
  }

  async function openPage(token: string): Promise<Page> {
    const page = await browser.newPage()
    page.on('pageerror', (error) => problems.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().includes('Failed to load resource'))
        problems.push(message.text())
    })
    await page.goto(`${address}/#token=${token}`)
    return page
  }

  before(async () => {
    assert.ok(existsSync(WEB), 'build the page first: npm run build')
    browser = await launchBrowser()
    await serve(0)
  })

  after(async () => {
    await browser?.close()
    await app?.close()
  })

  test('shows the money, the model in charge and the newest alerts', async () => {
    const page = await openPage('page-token')
    await page.getByText('€23,456.78').waitFor()
    await page.getByText('lstm-2026-01-15 on cpu').waitFor()
    assert.equal(await page.locator('tbody tr').count(), 12)
    assert.ok((await page.locator('canvas').count()) >= 3)
    assert.equal(new URL(page.url()).hash, '', 'the token leaves the address bar')
    await page.close()
  })

  test('opens the reasons of an alert by keyboard and closes them again', async () => {
    const page = await openPage('page-token')
    await page.locator('tbody tr').first().waitFor()
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    await page.getByText('amount 9.3 times this card’s median').waitFor()
    assert.equal(await page.locator('tr[aria-expanded="true"]').getAttribute('aria-selected'), 'true')
    await page.keyboard.press('Escape')
    await page.getByText('amount 9.3 times this card’s median').waitFor({ state: 'detached' })
    await page.keyboard.press('?')
    await page.getByRole('dialog').waitFor()
    await page.close()
  })

  test('says when the token is refused', async () => {
    const page = await openPage('wrong')
    await page.getByText('token refused').waitFor()
    await page.close()
  })

  test('finds the service again after it was restarted', async () => {
    const page = await openPage('page-token')
    await page.locator('.state.live').waitFor()
    const port = Number(new URL(address).port)
    await app.close()
    await page.locator('.state.lost').waitFor()
    await serve(port)
    await page.locator('.state.live').waitFor()
    await page.close()
  })

  test('logged no error', () => {
    assert.deepEqual(problems, [])
  })
})
