.onLoad <- function(libname, pkgname) {
  s3_register("generics::tidy", "laplace")
  s3_register("generics::glance", "laplace")
  s3_register("generics::augment", "laplace")
  s3_register("ggplot2::autoplot", "laplace")
  s3_register("ggplot2::autoplot", "laplace_figures")
  for (generic in INSIGHT_GENERICS) s3_register(paste0("insight::", generic), "laplace")
}

.onUnload <- function(libpath) {
  if (!is.null(the$server)) stop_server(the$server, 0.5)
}

#' Registers a method for a generic of a package that may not be installed, now or when it is loaded.
#' @noRd
s3_register <- function(generic, class) {
  words <- strsplit(generic, "::", fixed = TRUE)[[1]]
  method <- get(paste(words[2], class, sep = "."), envir = topenv())
  register <- function(...) {
    package <- asNamespace(words[1])
    if (exists(words[2], package)) registerS3method(words[2], class, method, envir = package)
  }
  setHook(packageEvent(words[1], "onLoad"), register)
  if (isNamespaceLoaded(words[1])) register()
}
