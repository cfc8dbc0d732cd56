# msgpack as far as the protocol allows it (docs/protocol.md, section 2): nil, bool, integers, float64, str, bin, array,
# map.
#
#   msgpack            R
#   nil                NULL
#   bool               TRUE, FALSE
#   number             a double or integer without dim, of length 1
#   str                a character string
#   bin                a raw vector
#   array              a list without names; a character vector that is not one string
#   map                a list with names (an empty one is empty_map())
#   {dtype, shape, ..} numeric and logical vectors and arrays otherwise (see wire-array.R)

MAX_DEPTH <- 16L
MAX_ITEMS <- 10000L
MAX_ITEMS_IN_ALL <- 1e6
MAX_WHOLE <- 2^53 - 1

#' A map without entries: an empty list alone would be an array.
#' @noRd
empty_map <- function() structure(list(), names = character())
