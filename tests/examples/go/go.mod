module vmmguest

go 1.19
