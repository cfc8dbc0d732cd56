/** @file Debian's Chromium, driven by puppeteer-core. */
import { existsSync } from 'node:fs'
import { type Browser, launch, type Page } from 'puppeteer-core'

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
