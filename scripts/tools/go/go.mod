module tracehop/scripts/tools/go

go 1.19
