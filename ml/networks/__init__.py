"""The segmentation networks by name; each file is one network, `network.py` what they share."""

from typing import Any

from ml.networks.attention_unet import AttentionUNet
from ml.networks.ensemble import Ensemble
from ml.networks.hrnet import HRNet
from ml.networks.network import Network
from ml.networks.unet import UNet
from ml.networks.unet3d import UNet3D
from ml.networks.unet25d import UNet25D
from ml.networks.unet_p3d import UNetP3D
from ml.networks.unet_pointrend import UNetPointRend
from ml.networks.unetpp import UNetPlusPlus

NETWORKS: dict[str, type[Network]] = {
    network.name: network for network in (UNet, UNetPointRend, UNetPlusPlus, AttentionUNet, HRNet, UNet25D, UNetP3D, UNet3D)
}

__all__ = ["NETWORKS", "Network", "build"]


def build(name: str, **settings: Any) -> Network:
    """A new network.

    Parameters
    ----------
    name : a key of `NETWORKS`, or "ensemble"
    settings : of its class; those not given are the defaults; of an ensemble, its members' names and settings

    Raises
    ------
    ValueError
        There is no network of that name, or it has no such setting.
    """
    if name == Ensemble.name:
        return _ensemble(**settings)
    if name not in NETWORKS:
        raise ValueError(f"there is no network {name!r}; there are {', '.join(NETWORKS)} and {Ensemble.name}")
    try:
        return NETWORKS[name](**settings)
    except TypeError as error:
        raise ValueError(f"the network {name} can't be built with {settings}: {error}") from error


def _ensemble(members: Any = (), **others: Any) -> Ensemble:
    is_named = isinstance(members, list) and all(isinstance(one, dict) and one.get("name") in NETWORKS for one in members)
    if others or not is_named:
        raise ValueError(f"an ensemble is built of members that each name a network and its settings, not of {members} {others}")
    return Ensemble([build(**member) for member in members])
