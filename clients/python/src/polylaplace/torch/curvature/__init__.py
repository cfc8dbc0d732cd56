"""What `backend=` takes: `laplace.curvature`.

The names select a curvature (GGN, EF, Hessian; `stochastic`), which is honoured. The library that a name stands for is
not used: the core computes.
"""

from .asdfghjkl import AsdfghjklEF, AsdfghjklGGN, AsdfghjklHessian, AsdfghjklInterface
from .asdl import AsdlEF, AsdlGGN, AsdlHessian, AsdlInterface
from .backpack import BackPackEF, BackPackGGN, BackPackInterface
from .curvature import CurvatureInterface, EFInterface, GGNInterface
from .curvlinops import CurvlinopsEF, CurvlinopsGGN, CurvlinopsHessian, CurvlinopsInterface

__all__ = [
    "AsdfghjklEF",
    "AsdfghjklGGN",
    "AsdfghjklHessian",
    "AsdfghjklInterface",
    "AsdlEF",
    "AsdlGGN",
    "AsdlHessian",
    "AsdlInterface",
    "BackPackEF",
    "BackPackGGN",
    "BackPackInterface",
    "CurvatureInterface",
    "CurvlinopsEF",
    "CurvlinopsGGN",
    "CurvlinopsHessian",
    "CurvlinopsInterface",
    "EFInterface",
    "GGNInterface",
]
