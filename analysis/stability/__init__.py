"""What large steps do: linear stability and rates, boundedness far from the minimum."""
