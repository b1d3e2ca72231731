"""Systems and devices that are not at hand, as far as this one can act as them."""
