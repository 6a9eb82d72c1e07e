module tracehop/tests/peers/tools/go

go 1.19
