// House rules that the compiler does not check. Types are checked by `npm run typecheck`.
import tseslint from 'typescript-eslint'

export default tseslint.config(
  {
    ignores: ['dist/', 'build/', 'node_modules/', '**/generated/', 'core/kernels/assembly/', 'clients/', '.tap/',
      '.tests/', '**/.venv*/', 'test/fixtures/'],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'off' } },
  {
    files: ['**/*.ts'],
    languageOptions: { parser: tseslint.parser },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports',
        disallowTypeAnnotations: false }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // `== null` means null or undefined.
      'eqeqeq': ['error', 'always', { null: 'ignore' }],
      'no-var': 'error',
      'prefer-const': 'error',
      'no-restricted-syntax': ['error', { selector: 'ExportDefaultDeclaration', message: 'Export by name.' }, {
        selector: 'TSEnumDeclaration',
        message: 'Use a union of words.',
      }],
    },
  },
  {
    files: ['**/*.ts'],
    ignores: ['test/**'],
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      'no-eval': 'error',
      'no-new-func': 'error',
      'no-implied-eval': 'error',
    },
  },
  {
    // The core runs in a browser: no module of Node, nothing of the runtime by name.
    files: ['core/**/*.ts'],
    rules: {
      'no-restricted-imports': ['error', {
        patterns: [{ regex: '^node:', message: 'The core knows no runtime.' }, {
          regex: '/(adapters|report|protocol|node|cli|clients)/',
          message: 'Dependencies point down only.',
        }],
      }],
      'no-restricted-globals': ['error', 'process', 'Buffer', 'require', 'window', 'document', 'fetch'],
      'no-restricted-properties': ['error', { object: 'Math', property: 'random',
        message: 'Take a seeded generator.' }],
    },
  },
  {
    // Readers take bytes: no file access.
    files: ['adapters/**/*.ts'],
    ignores: ['adapters/onnxruntime/**'],
    rules: {
      'no-restricted-imports': ['error', {
        patterns: [{ regex: '^node:', message: 'Readers know no runtime.' }, {
          regex: '/(report|protocol|node|cli|clients)/',
          message: 'Dependencies point down only.',
        }],
      }],
    },
  },
)
