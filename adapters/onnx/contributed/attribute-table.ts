/**
 * @file The attributes of ONNX Runtime's operators and of those of ONNX' classical models, as `ATTRIBUTE_TABLE` has
 * those of ONNX' own.
 *
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */
import { ATTRIBUTE_TABLE } from '../attribute-table.js'

const ACTIVATION = ['activation:s', 'activation_alpha:f', 'activation_beta:f', 'activation_gamma:f']
const PRODUCT = ['alpha:f', 'transA:i', 'transB:i', 'transBatchA:i', 'transBatchB:i']
const NORMALISATION = ['axis:i', 'epsilon:f', 'stash_type:i']
const ATTENTION = ['mask_filter_value:f', 'num_heads:i', 'scale:f', 'unidirectional:i']

const RUNTIME: Readonly<Record<string, readonly string[]>> = {
  Attention: [...ATTENTION, 'do_rotary:i', 'past_present_share_buffer:i', 'qkv_hidden_sizes:I',
    'rotary_embedding_dim:i'],
  BiasGelu: [],
  EmbedLayerNormalization: ['epsilon:f', 'mask_index_type:i'],
  FastGelu: [],
  FusedConv: [...ATTRIBUTE_TABLE['Conv'], 'activation:s', 'activation_params:F'],
  FusedGemm: [...ATTRIBUTE_TABLE['Gemm'], ...ACTIVATION],
  FusedMatMul: PRODUCT,
  FusedMatMulActivation: [...PRODUCT, ...ACTIVATION, 'activation_axis:i'],
  Gelu: [],
  GroupNorm: ['activation:i', 'channels_last:i', 'epsilon:f', 'groups:i'],
  MatMulNBits: ['K:i', 'N:i', 'accuracy_level:i', 'bits:i', 'block_size:i', 'weight_prepacked:i'],
  MultiHeadAttention: ATTENTION,
  NhwcConv: ATTRIBUTE_TABLE['Conv'],
  QuickGelu: ['alpha:f'],
  RotaryEmbedding: ['interleaved:i', 'is_packed_batching:i', 'num_heads:i', 'rotary_embedding_dim:i', 'scale:f'],
  SimplifiedLayerNormalization: NORMALISATION,
  'polylaplace::StopGradient': [],
  SkipLayerNormalization: ['epsilon:f'],
  SkipSimplifiedLayerNormalization: ['epsilon:f'],
  TransposeMatMul: PRODUCT,
}

const CLASSICAL: Readonly<Record<string, readonly string[]>> = {
  ArrayFeatureExtractor: [],
  Binarizer: ['threshold:f'],
  FeatureVectorizer: ['inputdimensions:I'],
  Imputer: ['imputed_value_floats:F', 'imputed_value_int64s:I', 'replaced_value_float:f', 'replaced_value_int64:i'],
  Normalizer: ['norm:s'],
  OneHotEncoder: ['cats_int64s:I', 'cats_strings:S', 'zeros:i'],
  Scaler: ['offset:F', 'scale:F'],
}

/** By domain and operator. */
export const CONTRIBUTED_ATTRIBUTES: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(Object.entries(RUNTIME).map(([op, entries]) => [`com.microsoft::${op}`, entries])),
  ...Object.fromEntries(Object.entries(CLASSICAL).map(([op, entries]) => [`ai.onnx.ml::${op}`, entries])),
  SimplifiedLayerNormalization: NORMALISATION,
  'polylaplace::StopGradient': [],
}
