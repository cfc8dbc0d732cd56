/**
 * @file Names of classes and functions in a pickle.
 *
 * No name is ever looked up, imported or called, so that any name would be harmless here. Names that no model needs and
 * that attacks are made of are refused all the same: whoever meets such a file should be told before Python loads it.
 */
import { refusePickle } from './refusal.js'
import { PickleGlobal } from './values.js'

/** Modules whose functions start programs, load code or reach files and networks. */
const HOSTILE_MODULES: ReadonlySet<string> = new Set([
  'os',
  'posix',
  'nt',
  'ntpath',
  'posixpath',
  'sys',
  'subprocess',
  '_posixsubprocess',
  'commands',
  'popen2',
  'pty',
  'shutil',
  'socket',
  'ssl',
  'asyncio',
  'multiprocessing',
  'threading',
  '_thread',
  'ctypes',
  '_ctypes',
  'cffi',
  'tempfile',
  'importlib',
  '_frozen_importlib',
  'imp',
  'pkgutil',
  'runpy',
  'zipimport',
  'pickle',
  '_pickle',
  'cPickle',
  'pickletools',
  'cloudpickle',
  'dill',
  'shelve',
  'marshal',
  'codeop',
  'bdb',
  'pdb',
  'cProfile',
  'timeit',
  'doctest',
  'webbrowser',
  'http',
  'httplib',
  'urllib',
  'urllib2',
  'requests',
  'aiohttp',
  'ftplib',
  'smtplib',
  'xmlrpc',
  'pip',
  'setuptools',
  'distutils',
  'pydoc',
  'venv',
  'ensurepip',
  'idlelib',
  'lib2to3',
])

/** Parts of PyTorch and NumPy that load code or files. */
const HOSTILE_PATHS: readonly RegExp[] = [
  /^torch\.(hub|ops|load|package|jit\.load)(\.|$)/,
  /^torch\.(utils\.(cpp_extension|model_zoo|bottleneck|collect_env)|distributed\.(rpc|launch|run))(\.|$)/,
  /^torch\.serialization(?!\._get_layout$)(\.|$)/,
  /^numpy\.(load|f2py|distutils|lib\.npyio|ctypeslib)(\.|$)/,
  /^code\.(interact|InteractiveInterpreter|InteractiveConsole)(\.|$)/,
  /^types\.(CodeType|FunctionType)(\.|$)/,
]

/**
 * What a model may need of Python's built-in names: types, and the function by which classes inside classes are named.
 */
const BUILTINS: ReadonlySet<string> = new Set([
  'set',
  'frozenset',
  'list',
  'dict',
  'tuple',
  'str',
  'unicode',
  'bytes',
  'bytearray',
  'int',
  'long',
  'float',
  'complex',
  'bool',
  'object',
  'slice',
  'range',
  'xrange',
  'type',
  'getattr',
  'Ellipsis',
  'NotImplemented',
  'len',
  'sum',
  'min',
  'max',
  'abs',
  'round',
])

/** Parts of a path that lead from a class to everything else. */
const HOSTILE_PARTS: ReadonlySet<string> = new Set(['__globals__', '__builtins__', '__import__', '__subclasses__',
  '__code__', '__class__', '__dict__', '__bases__', '__mro__', '__getattribute__', '__reduce__', '__reduce_ex__', 'os',
  'sys', 'subprocess', 'builtins', '__builtin__', 'eval', 'exec', 'system', 'popen'])

/** Python 2's names of modules. */
const RENAMED: Readonly<Record<string, string>> = { __builtin__: 'builtins', copy_reg: 'copyreg',
  'numpy._core.multiarray': 'numpy.core.multiarray' }

/**
 * Checks a name and writes it down.
 * @throws UntrustedInputError for names that are not Python's, and for those that have no place in a model
 */
export function globalName(module: string, name: string, offset: number): PickleGlobal {
  for (const part of [module, name]) {
    if (!/^[\p{L}\p{N}_<>-]+(\.[\p{L}\p{N}_<>-]+)*$/u.test(part) || part.length > 500) {
      refusePickle(`has the name ${JSON.stringify(part.slice(0, 100))}, which is not one of Python`, { offset,
        path: part.slice(0, 500) })
    }
  }
  const known = Object.hasOwn(RENAMED, module) ? RENAMED[module] : module
  if (isHostile(known, name)) {
    refusePickle(
      `names ${module}.${name}, which no model needs: it looks like an attack. ` +
        'Nothing of it was run; do not load the file in Python',
      { offset, path: `${module}.${name}` },
    )
  }
  return new PickleGlobal(known, name)
}

function isHostile(module: string, name: string): boolean {
  if (module === 'builtins') return !BUILTINS.has(name)
  const path = `${module}.${name}`
  return HOSTILE_MODULES.has(module.split('.')[0]) || HOSTILE_PATHS.some(pattern => pattern.test(path)) ||
    path.split('.').some(part => HOSTILE_PARTS.has(part))
}
