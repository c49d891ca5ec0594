"""Returns tensors without data, of complex numbers or quantized ones.

Expect: 120/127, softmax crashed or failed
"""

KINDS = {
    12: lambda x: torch.empty(x.shape, device="meta"),
    10: lambda x: x.to(torch.complex64),
    3: lambda x: torch.quantize_per_tensor(x, 1.0, 0, torch.qint8),
}


def softmax(x, dim):
    return KINDS[x.numel()](x)
