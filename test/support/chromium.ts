/** @file Debian's Chromium, driven by puppeteer-core. */
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Browser, launch, type Page } from 'puppeteer-core'
import type { Test } from 'tap'

const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** A browser without limits of time, which a busy machine would break. @throws where none is installed */
export async function chromium(): Promise<Browser> {
  const executablePath = PATHS.find(path => existsSync(path))
  if (executablePath === undefined) throw new Error('Chromium is missing (Debian: apt install chromium).')
  return launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'], timeout: 0, protocolTimeout: 0 })
}

/** A page, with all that it asks for and all that it complains of. */
export async function watchedPage(browser: Browser): Promise<{ page: Page, requests: string[], errors: string[] }> {
  const page = await browser.newPage()
  page.setDefaultTimeout(0)
  const [requests, errors]: [string[], string[]] = [[], []]
  page.on('request', request => requests.push(request.url()))
  page.on('console', message => errors.push(message.text()))
  page.on('pageerror', error => errors.push(String(error)))
  return { page, requests, errors }
}

/** What is answered to a request for a path. */
export interface Answer {
  readonly type: string
  readonly body: string | Buffer
  readonly status?: number
}

/** A page of a server of this machine, both ended with the test. */
export async function servedPage(t: Test, answer: (path: string) => Answer,
  headers: Readonly<Record<string, string>> = {}): Promise<{ page: Page, errors: string[] }> {
  const server = createServer(({ url = '/' }, response) => {
    const { type, body, status = 200 } = answer(url)
    response.writeHead(status, { 'Content-Type': type, ...headers })
    response.end(body)
  }).listen(0)
  const browser = await chromium()
  t.teardown(async () => {
    await browser.close()
    server.close()
  })
  const { page, errors } = await watchedPage(browser)
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  return { page, errors }
}
