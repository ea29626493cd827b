"""Where autocast acts and where it does not."""

from __future__ import annotations

import torch

from asr_lab.nn.kernels.autocast import autocast_dtype, without_autocast


def test_inside_the_region_products_keep_their_own_types() -> None:
    x = torch.randn(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
        with without_autocast(x):
            assert (x @ x).dtype == torch.float32
            assert autocast_dtype(x) == torch.float32
        assert (x @ x).dtype == torch.bfloat16


def test_the_type_of_a_product_is_autocasts_where_it_is_on_and_the_tensors_own_elsewhere() -> None:
    x, meta = torch.zeros(1), torch.zeros(1, device="meta", dtype=torch.float64)
    assert autocast_dtype(x) == torch.float32
    assert autocast_dtype(x.double()) == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert autocast_dtype(x) == torch.bfloat16
        assert autocast_dtype(meta) == torch.float64
    with torch.autocast("cpu", torch.float16):
        assert autocast_dtype(x) == torch.float16


def test_tensors_without_values_need_no_region() -> None:
    with without_autocast(torch.zeros(1, device="meta")) as nothing:
        assert nothing is None
