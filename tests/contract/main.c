/* Every behaviour of the contract on every kind of store. */
#include "contract/behaviours.h"

#define X(name) \
    static void name##_in_memory(struct test *t) \
    { \
        contract_run(t, &contract_memory, name); \
    } \
    static void name##_in_sqlite(struct test *t) \
    { \
        contract_run(t, &contract_sqlite, name); \
    } \
    static void name##_in_memory_with_each_call_failing(struct test *t) \
    { \
        contract_run(t, &contract_faulty_memory, name); \
    } \
    static void name##_in_sqlite_with_each_call_failing(struct test *t) \
    { \
        contract_run(t, &contract_faulty_sqlite, name); \
    }
CONTRACT_BEHAVIOURS(X)
#undef X

int main(int argc, char **argv)
{
#define X(name) \
    TEST_CASE(name##_in_memory), TEST_CASE(name##_in_sqlite), TEST_CASE(name##_in_memory_with_each_call_failing), \
        TEST_CASE(name##_in_sqlite_with_each_call_failing),
    static const struct test_case cases[] = {CONTRACT_BEHAVIOURS(X)};
#undef X
    return test_main(cases, KW_COUNT_OF(cases), argc, argv);
}
