"""Fashion-MNIST: 70,000 pictures of clothes in ten classes, 28 x 28 grey pixels, in the format of MNIST.

Xiao, Rasul and Vollgraf 2017 (arXiv 1708.07747).
"""

from attrpriors.data import Dataset, Provenance
from attrpriors.data.download import File
from attrpriors.data.mnist import from_idx

ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"  # of its authors; torchvision's too
SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
FILES = tuple(File(f"FashionMNIST/raw/{name}", ADDRESS + name, sha256) for name, sha256 in SHA256.items())


def load(root: str = "data", train: int = 55_000, validation: int = 5_000, *, seed: int) -> Dataset:
    """`validation` and `train` of the 60,000 training images, drawn by seed, and all test images, as mnist.load."""
    return from_idx("fashion_mnist", Provenance("Fashion-MNIST"), FILES, root, train, validation, seed)
