/** @file The methods `figures` and `report`: a posterior on rows that it has not seen, as numbers and as a page. */
import { report as reportPage } from '../../report/report.js'
import { optional, textParameter, textsParameter } from '../messages/parameters.js'
import { batchOf, optionalExamples } from './arguments.js'
import { type Method, workOf } from './method.js'
import { plain } from './plain-values.js'

/** What a report draws. */
export const figures: Method = async (params, context, state) => {
  const { x, y } = batchOf(params, state)
  const outliers = optionalExamples(params, 'outliers', state)
  return { figures: plain(await state.objects.get('posterior', params).figures(x, y, { outliers }, workOf(context))) }
}

/** The page as HTML. */
export const report: Method = async (params, context, state) => {
  const { x, y } = batchOf(params, state)
  const given = (key: string): boolean => optional(params, key) !== undefined
  const html = await reportPage(state.objects.get('posterior', params), x, y, {
    outliers: optionalExamples(params, 'outliers', state),
    classes: given('classes') ? textsParameter(params, 'classes') : undefined,
    title: given('title') ? textParameter(params, 'title') : undefined,
  }, workOf(context))
  return { html }
}
