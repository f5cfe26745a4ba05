"""What a design can tell before it costs anything: worlds that studies are drawn from, widths, power, advice."""
