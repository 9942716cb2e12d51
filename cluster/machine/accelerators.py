"""Accelerators by product: what each has of memory, and how fast it computes and moves bytes.

Any name that a driver, torch, Ray or a user gives is understood: `NVIDIA H100 80GB HBM3`, `H100`,
`A100-40G`, `rtx4090`, `NVIDIA A100-SXM4-80GB MIG 3g.40gb`. Numbers are those of the makers' data
sheets, without sparsity.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """One product with one size of memory, or a part of one."""

    name: str
    """The product, and its memory where it is sold with several."""
    memory_gb: float
    """Memory in 10^9 bytes; drivers never report less."""
    half_flops: float
    """Operations per second of its matrix units in 16 bits, summed in 32."""
    single_flops: float
    """Operations per second in full 32-bit precision, without TF32."""
    bytes_per_s: float
    """Bytes per second between its memory and its processors."""
    link_bytes_per_s: float
    """Bytes per second that it sends to another one of its node."""
    has_bfloat16: bool = True
    """Whether its matrix units take bfloat16; where not, that is computed as float32."""

    reached: frozenset[str] = frozenset()
    """Fields whose rates were measured: what products and copies reach, not what is advertised."""

    def at(self, rates: Mapping[str, float]) -> "Accelerator":
        """Return the accelerator with measured rates, by the names of its fields."""
        known = {name: rate for name, rate in rates.items() if name in _RATES and rate > 0}
        return replace(self, **known, reached=frozenset(known))  # type: ignore[arg-type]

    def flops(self, dtype: str) -> float:
        """Return its operations per second in a compute dtype."""
        is_half = dtype == "float16" or (dtype == "bfloat16" and self.has_bfloat16)
        return self.half_flops if is_half else self.single_flops


_RATES = ("half_flops", "single_flops", "bytes_per_s", "link_bytes_per_s")
_PCIE_3, _PCIE_4, _PCIE_5 = 13.0, 25.0, 50.0
"""GB per second of 16 lanes, as copies reach."""
_Row = tuple[float, float, float, float, float]
_PRODUCTS: Mapping[str, tuple[_Row, ...]] = {
    # memory in GB, TFLOP/s in 16 and in 32 bits, GB/s of memory and of the link
    "P100": ((16, 21.2, 10.6, 732, _PCIE_3),),
    "V100": ((16, 125, 15.7, 900, 125), (32, 125, 15.7, 900, 125)),
    "T4": ((16, 65, 8.1, 300, _PCIE_3),),
    "A2": ((16, 18, 4.5, 200, _PCIE_4),),
    "A10": ((24, 125, 31.2, 600, _PCIE_4),),
    "A10G": ((24, 70, 35, 600, _PCIE_4),),
    "A16": ((16, 17.9, 4.5, 200, _PCIE_4),),
    "A30": ((24, 165, 10.3, 933, 100),),
    "A40": ((48, 149.7, 37.4, 696, 56),),
    "L4": ((24, 121, 30.3, 300, _PCIE_4),),
    "L40": ((48, 181, 90.5, 864, _PCIE_4),),
    "L40S": ((48, 362, 91.6, 864, _PCIE_4),),
    "A100": ((40, 312, 19.5, 1555, 300), (80, 312, 19.5, 1935, 300)),
    "A800": ((40, 312, 19.5, 1555, 200), (80, 312, 19.5, 1935, 200)),
    "H100": ((80, 989, 67, 3350, 450),),
    "H100 PCIE": ((80, 756, 51, 2000, _PCIE_5),),
    "H100 NVL": ((94, 835, 60, 3900, 300),),
    "H800": ((80, 989, 67, 3350, 200),),
    "H20": ((96, 148, 44, 4000, 450),),
    "H200": ((141, 989, 67, 4800, 450),),
    "H200 NVL": ((141, 835, 60, 4800, 450),),
    "GH200": ((96, 989, 67, 4000, 450), (144, 989, 67, 4900, 450)),
    "B200": ((180, 2250, 75, 7700, 900),),
    "GB200": ((186, 2500, 80, 8000, 900),),
    "B300": ((270, 2250, 75, 7700, 900),),
    "2080 TI": ((11, 53.8, 13.4, 616, _PCIE_3),),
    "TITAN RTX": ((24, 130, 16.3, 672, _PCIE_3),),
    "RTX 6000": ((24, 130.5, 16.3, 672, _PCIE_3),),
    "RTX 8000": ((48, 130.5, 16.3, 672, _PCIE_3),),
    "3060": ((12, 25.5, 12.7, 360, _PCIE_4),),
    "3080": ((10, 59.5, 29.8, 760, _PCIE_4), (12, 61.3, 30.6, 912, _PCIE_4)),
    "3080 TI": ((12, 68, 34.1, 912, _PCIE_4),),
    "3090": ((24, 71, 35.6, 936, _PCIE_4),),
    "3090 TI": ((24, 80, 40, 1008, _PCIE_4),),
    "4060 TI": ((8, 44, 22, 288, _PCIE_4), (16, 44, 22, 288, _PCIE_4)),
    "4070": ((12, 58, 29, 504, _PCIE_4),),
    "4080": ((16, 97.5, 48.7, 716, _PCIE_4),),
    "4090": ((24, 165.2, 82.6, 1008, _PCIE_4),),
    "5080": ((16, 112.6, 56.3, 960, _PCIE_5),),
    "5090": ((32, 209.5, 104.8, 1792, _PCIE_5),),
    "A4000": ((16, 76.7, 19.2, 448, _PCIE_4),),
    "A4500": ((20, 94.6, 23.7, 640, _PCIE_4),),
    "A5000": ((24, 111.1, 27.8, 768, _PCIE_4),),
    "A6000": ((48, 154.8, 38.7, 768, _PCIE_4),),
    "RTX 5000 ADA": ((32, 261.1, 65.3, 576, _PCIE_4),),
    "RTX 6000 ADA": ((48, 364.2, 91.1, 960, _PCIE_4),),
    "RTX PRO 6000": ((96, 503.8, 125, 1597, _PCIE_5),),
}  # fmt: skip
"""Products by the words that their names have in common; several rows: sold with several sizes."""

_WITHOUT_BFLOAT16 = frozenset(
    {"P100", "V100", "T4", "2080 TI", "TITAN RTX", "RTX 6000", "RTX 8000"}
)
_NAMED_WITH_HOST_MEMORY = ("GH200",)
"""Products whose drivers name them with the memory of the processor beside them."""

_MEMORY = re.compile(r"(?<![0-9A-Z])([0-9]+) ?(?:GB|G)(?![0-9A-Z])")
_PART = re.compile(r"\bMIG[ -](?:([0-9])C\.)?([0-9])G\.")
_SLICES = 7
"""Compute slices of a GPU that is cut into MIG parts."""
_ROOM = 1.1
"""A driver reports up to so much more than the maker's size: it counts memory in MiB."""


def _rows(words: str) -> list[Accelerator]:
    """Return a product in each size of memory, the smallest first."""
    rows = _PRODUCTS[words]
    return [
        Accelerator(
            name=words.replace(" ", "-") + (f"-{memory_gb:g}GB" if len(rows) > 1 else ""),
            memory_gb=memory_gb,
            half_flops=half * 1e12,
            single_flops=single * 1e12,
            bytes_per_s=moved * 1e9,
            link_bytes_per_s=sent * 1e9,
            has_bfloat16=words not in _WITHOUT_BFLOAT16,
        )
        for memory_gb, half, single, moved, sent in rows
    ]


def find_accelerator(name: str, memory_gb: float = 0.0) -> Accelerator | None:
    """Return the product that a name means; None if unknown.

    Args:
        name: as a driver, Ray or a user gives it.
        memory_gb: what is known of its memory in 10^9 bytes; 0: what the name says, or else the
            smallest that the product is sold with.
    """
    upper, product = name.upper(), _product(name)
    if product is None:
        return None
    part = _PART.search(upper)
    sizes = _MEMORY.findall(upper[: part.start()] if part else upper)
    in_name = float(sizes[-1]) if sizes and product not in _NAMED_WITH_HOST_MEMORY else 0.0
    whole = _of_size(product, in_name or (0.0 if part else memory_gb))
    return whole if part is None else _part_of(whole, part, _gb_in_name(name) or memory_gb)


def _product(name: str) -> str | None:
    """Return the words of the product that a name means; None if unknown."""
    # `RTX4090` and `6000Ada` are two words; `A100-SXM4-80GB` has the words A100, SXM4 and 80GB.
    two = r"RTX(?=[A-Z]?[0-9])|(?<=[0-9])(?=ADA|TI\b)"
    words = set(re.findall(r"[0-9A-Z]+", re.sub(two, lambda at: at[0] + " ", name.upper())))
    meant = [product for product in _PRODUCTS if words >= set(product.split())]
    return max(meant, key=lambda each: len(each.split())) if meant else None


def _of_size(product: str, memory_gb: float) -> Accelerator:
    """Return a product with the size that it is sold with next to a known one, which it gets."""
    rows = _rows(product)
    if not memory_gb:
        return rows[0]
    fitting = [row for row in rows if row.memory_gb <= memory_gb * _ROOM]
    sold = max(fitting or rows[:1], key=lambda row: row.memory_gb)
    return replace(sold, memory_gb=memory_gb)


def _part_of(whole: Accelerator, part: "re.Match[str]", memory_gb: float) -> Accelerator:
    """Return a MIG part: its compute slices of seven, its memory's share of the bandwidth."""
    compute = int(part[1] or part[2]) / _SLICES
    memory = memory_gb or whole.memory_gb * int(part[2]) / _SLICES
    return replace(
        whole,
        name=f"{whole.name} MIG {f'{part[1]}c.' if part[1] else ''}{part[2]}g.{memory:g}gb",
        memory_gb=memory,
        half_flops=whole.half_flops * compute,
        single_flops=whole.single_flops * compute,
        bytes_per_s=whole.bytes_per_s * min(1.0, memory / whole.memory_gb),
        link_bytes_per_s=_PCIE_3 * 1e9,
    )


def open_sizes(name: str) -> list[float]:
    """Return the sizes in 10^9 bytes that a name leaves open, the smallest first; else none."""
    product = _product(name)
    sizes = [] if product is None else [row.memory_gb for row in _rows(product)]
    return sizes if len(sizes) > 1 and _gb_in_name(name) is None else []


def gpu_memory_gb(name: str) -> float:
    """Return the memory of the accelerator with this name, in 10^9 bytes; 0 if unknown."""
    product = find_accelerator(name)
    return product.memory_gb if product is not None else _gb_in_name(name) or 0.0


def _gb_in_name(name: str) -> float | None:
    """Return the memory in a name, the last of several (`H100 80GB HBM3 MIG 1g.10gb` has 10)."""
    sizes = _MEMORY.findall(name.upper())
    return float(sizes[-1]) if sizes else None


def slowest_with(memory_gb: float) -> Accelerator | None:
    """Return a GPU as slow in everything as any product with this memory, or the next less.

    It is what a GPU is planned as whose product is not known. None below all products.
    """
    rows = [row for words in _PRODUCTS for row in _rows(words)]
    fitting = [row for row in rows if row.memory_gb <= memory_gb * 1.02]
    if not fitting:
        return None
    most = max(row.memory_gb for row in fitting)
    alike = [row for row in fitting if row.memory_gb == most]
    return Accelerator(
        name=f"the slowest GPU of {most:g} GB",
        memory_gb=memory_gb,
        half_flops=min(row.half_flops for row in alike),
        single_flops=min(row.single_flops for row in alike),
        bytes_per_s=min(row.bytes_per_s for row in alike),
        link_bytes_per_s=min(row.link_bytes_per_s for row in alike),
        has_bfloat16=all(row.has_bfloat16 for row in alike),
    )


def slowest_of(names: Sequence[str]) -> str:
    """Return, of the GPUs of a machine, the name of the slowest product; empty if one is unknown.

    A job may get any of them.
    """
    known = {name: product for name in names if (product := find_accelerator(name)) is not None}
    if not names or len(known) < len(set(names)):
        return names[0] if names and len(set(names)) == 1 else ""
    return min(known, key=lambda name: known[name].half_flops)


def planned_as(name: str, memory_gb: float) -> Accelerator | None:
    """Return what a GPU is planned as: its product, or the slowest with its memory; None: neither.

    Args:
        name: of the product; may be empty or unknown.
        memory_gb: its memory in 10^9 bytes; 0 where not known.
    """
    return find_accelerator(name, memory_gb) or (slowest_with(memory_gb) if memory_gb else None)


def nearest_product(name: str) -> str | None:
    """Return the product whose name is most like one that is not known; None: none is."""
    bare = re.sub(r"NVIDIA|GEFORCE|TESLA|RTX", "", _MEMORY.sub("", name.upper())).strip("-_ .")
    near = get_close_matches(bare, product_names(), n=1, cutoff=0.6)
    return near[0] if near else None


def product_names() -> list[str]:
    """Return the names of all products, sorted; one that is sold with several sizes once."""
    return sorted(words.replace(" ", "-") for words in _PRODUCTS)
