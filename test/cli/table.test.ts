import t from 'tap'
import { pairs } from '../../cli/output/table.js'

t.test('what is longer than the terminal goes on below itself, and so do lines of one value', t => {
  const text = pairs([['Parameters', '0.weight (16 x 3), 0.bias (16), 2.weight (3 x 16), 2.bias (3)'], ['To', 'a\nb']],
    50, '  ')
  t.equal(text, [
    '  Parameters  0.weight (16 x 3), 0.bias (16),',
    '              2.weight (3 x 16), 2.bias (3)',
    '  To          a',
    '              b',
    '',
  ].join('\n'))
  t.end()
})
